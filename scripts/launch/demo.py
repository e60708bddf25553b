"""What the demo begins with: its native chat with people, questions and canned replies, and rules for its Qiscus app.
`python -m scripts.launch.demo`, run by the launcher after the migration, in a demo only. What is there already stays as
it is.
"""

import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor

import settings
from db import console, faq, operators, people, postgres
from db.acts import ACTS
from db.admin import ADMIN
from db.ledger import LEDGER
from db.views import VIEWS
from settings import DEMO_PASSWORD, DEMO_TENANT

NAME = "Demo"
RULES = Path(__file__).with_name("demo_rules.toml")


class Account(NamedTuple):
    email: str
    name: str
    role: str = "agent"
    divisions: tuple[str, ...] = ()


ACCOUNTS = (
    Account("agent@demo.com", "Ani Wijaya", divisions=("Jakarta", "Bali")),
    Account("agent2@demo.com", "Budi Santoso", divisions=("Jakarta",)),
    Account("supervisor@demo.com", "Sari Putri", "supervisor"),
)

QUESTIONS = (
    ("What are your opening hours?", "Our agents are here every day from 08:00 to 21:00 (Jakarta time)."),
    (
        "Where is my order?",
        "Open My orders and press Track: you see where your parcel is and on which day it arrives. Orders within Java"
        " take 1 to 3 days, elsewhere 3 to 7 days.",
    ),
    (
        "How do I return something and get a refund?",
        "You can send everything back within 14 days. Open My orders, press Return and print the label. The money is on"
        " your account 3 to 5 days after the parcel reached us.",
    ),
    ("Which ways to pay do you take?", "Bank transfer, credit card, GoPay, OVO, Dana and cash on delivery."),
    ("How do I change my password?", "Open Settings, then Security, and press Change password. We send you an e-mail."),
    ("How much is the delivery?", "Delivery is free from Rp 150.000 on. Below that it is Rp 15.000."),
    ("Jam berapa layanan buka?", "Agen kami siap membantu setiap hari pukul 08.00 sampai 21.00 WIB."),
    (
        "Di mana pesanan saya?",
        "Buka Pesanan saya lalu tekan Lacak. Pengiriman di Pulau Jawa memakan waktu 1 sampai 3 hari, di luar Jawa 3"
        " sampai 7 hari.",
    ),
    (
        "Bagaimana cara mengembalikan barang dan meminta uang kembali?",
        "Barang dapat dikembalikan dalam 14 hari. Buka Pesanan saya, tekan Kembalikan, lalu cetak labelnya. Uang masuk"
        " ke rekening Anda 3 sampai 5 hari setelah paket kami terima.",
    ),
    ("Metode pembayaran apa yang tersedia?", "Transfer bank, kartu kredit, GoPay, OVO, Dana, dan bayar di tempat."),
)

OPERATOR = ("operator@demo.com", "Ratna Operator")

CANNED = {
    "hello": "Hello! Thank you for waiting. How can I help you?",
    "halo": "Halo! Terima kasih sudah menunggu. Ada yang bisa saya bantu?",
    "moment": "One moment please, I am looking it up for you.",
    "order": "Could you please tell me your order number?",
    "thanks": "Thank you for writing to us. Have a nice day!",
}


def main() -> int:
    try:
        config = settings.load()
        if not config.demo:
            raise settings.SettingsError("this is no demo: DEMO is 0")
        password_hash = people.hashed(DEMO_PASSWORD)
        with closing(postgres.connect(settings.database_url(config), "demo")) as conn, conn, conn.cursor() as cur:
            seed(cur, password_hash)
            seed_operator(cur, password_hash)
            seed_rules(cur, config)
    except (settings.SettingsError, postgres.LedgerTrouble, people.AccountError) as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
    except psycopg2.Error as error:
        print(f"demo: PostgreSQL refused: {postgres.why(error)}", file=sys.stderr)  # noqa: T201
    else:
        return 0
    return 1


def seed(cur: cursor, password_hash: str) -> None:
    if DEMO_TENANT not in {row.id for row in ADMIN.all(cur, "native_tenants")}:
        ADMIN.one(cur, "put_native_tenant", tenant=DEMO_TENANT, name=NAME, identity_secret=None, color=None)
    for account in ACCOUNTS:
        if people.account(cur, DEMO_TENANT, account.email) is None:
            who = (account.email, account.name, password_hash, account.role, account.divisions)
            people.add_account(cur, DEMO_TENANT, *who)
    if not faq.has(cur, DEMO_TENANT):
        faq.replace(cur, DEMO_TENANT, QUESTIONS)
    if not console.canned(cur, DEMO_TENANT):
        console.replace_canned(cur, DEMO_TENANT, CANNED)


def seed_operator(cur: cursor, password_hash: str) -> None:
    """Who sees both tenants of the demo."""
    if not operators.all_of(cur):
        operators.add(cur, *OPERATOR, password_hash)


def seed_rules(cur: cursor, config: settings.Settings) -> None:
    """Once: whoever took them away meant it."""
    tenant = config.qiscus_app_id
    LEDGER.run(cur, "put_tenant", tenant=tenant, base_url=config.qiscus_url, secret_key=config.qiscus_secret_key)
    if not VIEWS.one(cur, "rules_in_force", tenant=tenant).version:
        ACTS.one(cur, "add_rules", tenant=tenant, content=RULES.read_text(), who="the demo")


if __name__ == "__main__":
    sys.exit(main())

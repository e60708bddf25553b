"""People in PostgreSQL: who may log in, with which password and token, how often it failed, and whose page is open.

Used by the sidecar (`login`, `presence`) and by the admin tool. Every function runs in the caller's transaction. The
SQL is in `queries/people.sql`. A password is kept as an Argon2id hash only, a token as its SHA-256 only.
"""

import functools
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg2.extensions import cursor

from db import passwords
from db.postgres import Statements
from routing.texts import fold

PEOPLE = Statements("people")
ROLES = ("agent", "supervisor", "admin")
OPERATOR = "operator"  # of the installation: no role of an account
FAILURES_MOST, FAILURES_WINDOW_S = 10, 600.0  # wrong passwords of one account from one address; then 429
FAILURES_ALONE_MOST = 100  # of one account from anywhere, or from one address: an office, a proxy, shares one
KNOWN_S = 30 * 86400.0  # since an account's last login from an address, that others' failures don't lock it out there
EMAIL_MOST, NAME_MOST = 254, 100  # bytes in UTF-8; characters
DIVISIONS_MOST = 50  # of one account
# Argon2id, 64 MiB, 3 passes: the second recommended set of RFC 9106, in one lane, so that a hash is one thread's work.
HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1)
# Of names. The embeddings, overrides and isolates also turn around what stands beside the name ("gpj.exe" → "exe.jpg").
_SPACES = re.compile(r"[\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]+")  # category Zs
_NO_PICTURE = {"Cc", "Cs", "Zl", "Zp", "Co"}  # controls, surrogates, line and paragraph separators, private use
_TURNS_TEXT = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol without ink
# Of RFC 5321 what mail is really sent to: no quotes, no addresses of machines in brackets; beyond ASCII as in RFC 6531.
_LOCAL_MOST = 64  # bytes
_LABEL = r"(?!-)[0-9A-Za-z_\-\x80-\U0010ffff]{1,63}(?<!-)"
_EMAIL = re.compile(rf"[^\s@<>\"(),:;\[\]\\]+@(?:{_LABEL}\.)*{_LABEL}")


class Agent(NamedTuple):
    """Whoever is logged in, supervisors too. `tenant` is the only tenant that they see; an operator's is empty, and
    they see all."""

    tenant: str
    agent_id: str
    name: str
    email: str
    role: str
    has_chats: bool = True  # of a tenant with a chat of our own: who has none has /ops only, and no presence

    @property
    def is_operator(self) -> bool:
        return self.role == OPERATOR

    @property
    def is_supervisor(self) -> bool:
        return self.role in ("supervisor", "admin")


class AccountError(ValueError):
    """An account that can't be made so; the text is one line fit to be shown to a person."""


def add_account(
    cur: cursor,
    tenant: str,
    email: str,
    name: str,
    password_hash: str,
    role: str = "agent",
    divisions: Iterable[str] = (),
) -> str:
    """The agent's id. `password_hash`: see `hashed`. Raises `AccountError`, also where the e-mail is taken."""
    email, shown = email.strip(), shown_name(name)
    if not is_email(email):
        raise AccountError(f"{email[:60]!r} is no e-mail address")
    if shown is None:
        raise AccountError(f"a name has 1 to {NAME_MOST} characters that can be shown, on one line")
    if role not in ROLES:
        raise AccountError(f"{role[:20]!r} is no role: use one of {', '.join(ROLES)}")
    if account(cur, tenant, email) is not None:
        raise AccountError(f"{email} has an account already")
    agent, joined = f"a{secrets.token_hex(5)}", division_names(divisions)
    PEOPLE.run(cur, "add_agent", tenant=tenant, agent=agent, name=shown)
    values = {"email": email, "name": shown, "password_hash": password_hash, "role": role, "divisions": joined}
    if not PEOPLE.one(cur, "add_account", tenant=tenant, agent=agent, **values):  # another was first
        raise AccountError(f"{email} has an account already")
    return agent


def account(cur: cursor, tenant: str, who: str) -> Any:
    """By the agent's id or e-mail: (agent, email, name, role, disabled, divisions), None where there is none."""
    return PEOPLE.one(cur, "account", tenant=tenant, who=who)


def accounts(cur: cursor, tenant: str) -> list[Any]:
    return PEOPLE.all(cur, "accounts", tenant=tenant)


def set_disabled(cur: cursor, tenant: str, agent: str, disabled: bool) -> bool:
    """Whether there is such an account. A disabled one can't log in and its tokens end; running sidecars close its
    pages at their next look, a few seconds later, and take it out of the line."""
    is_known = PEOPLE.one(cur, "set_disabled", tenant=tenant, agent=agent, disabled=disabled) is not None
    if disabled:
        PEOPLE.run(cur, "revoke_all", tenant=tenant, agent=agent)
        PEOPLE.run(cur, "forget_addresses_of", tenant=tenant, agent=agent)
    else:
        unlock(cur, tenant, agent)
    return is_known


def set_divisions(cur: cursor, tenant: str, agent: str, divisions: Iterable[str]) -> list[str]:
    """The account belongs to these and no others; their names as they are kept. Raises `AccountError`."""
    names = division_names(divisions)
    PEOPLE.run(cur, "set_divisions", tenant=tenant, agent=agent, divisions=names)
    return names


def division_names(names: Iterable[str]) -> list[str]:
    """Each once, by the letters that count where rules name them. Raises `AccountError`."""
    kept: dict[str, str] = {}
    for name in names:
        shown = shown_name(name)
        if shown is None:
            raise AccountError(f"the name of a division has 1 to {NAME_MOST} characters that can be shown, on one line")
        kept.setdefault(fold(shown), shown)
    if len(kept) > DIVISIONS_MOST:
        raise AccountError(f"an account may have {DIVISIONS_MOST} divisions")
    return list(kept.values())


def set_password(cur: cursor, tenant: str, agent: str, password_hash: str) -> bool:
    """Whether there is such an account; its tokens end, and wrong passwords of before count no more. Nor do the
    addresses where the old one was right."""
    is_known = PEOPLE.one(cur, "set_password", tenant=tenant, agent=agent, password_hash=password_hash) is not None
    PEOPLE.run(cur, "revoke_all", tenant=tenant, agent=agent)
    PEOPLE.run(cur, "forget_addresses_of", tenant=tenant, agent=agent)
    unlock(cur, tenant, agent)
    return is_known


def unlock(cur: cursor, tenant: str, agent: str) -> bool:
    """The account may log in again at once; whether failed logins were counted. Those of an address stay."""
    return PEOPLE.run(cur, "unlock", tenant=tenant, agent=agent) > 0


def unlock_address(cur: cursor, key: str, address: str) -> bool:
    """The same for an address. `key`: the sidecars' SECRET_KEY."""
    return PEOPLE.run(cur, "forgive", subjects=[login_subject(key, "address", address)]) > 0


def shown_name(text: str) -> str | None:
    """The name of a person as it is kept: one line, its spaces plain and single. None where it is no name.

    What joins or parts letters without being seen (ZWNJ, ZWJ, direction marks) stays: names of many scripts need it.
    What Unicode has assigned since this Python was made stays too; of private use nobody knows what it looks like.
    """
    name = _SPACES.sub(" ", text.strip())
    kinds = {unicodedata.category(mark) for mark in name}
    fits = len(name) <= NAME_MOST and not kinds & _NO_PICTURE and not _TURNS_TEXT.search(name)
    return name if fits and any(map(_is_visible, name)) else None


def _is_visible(mark: str) -> bool:
    """Letters, numbers, punctuation and symbols: what stands by itself."""
    return unicodedata.category(mark)[0] in "LNPS" and mark not in _BLANK


def is_email(text: str) -> bool:
    if len(text) > EMAIL_MOST or not text.isprintable():
        return False
    local = text.partition("@")[0]
    fits = len(text.encode()) <= EMAIL_MOST and len(local.encode()) <= _LOCAL_MOST
    return fits and _EMAIL.fullmatch(text) is not None


def matches(password_hash: str, password: str) -> bool:
    """Takes some 50 ms of one processor, without the GIL; some more where a letter with an accent can be written in two
    ways: it depends on the keyboard which one comes."""
    return any(_verifies(password_hash, form) for form in _forms(password))


def _forms(password: str) -> list[str]:
    """As new hashes are made of it; as it came, which is what older ones were made of, or its other form."""
    composed = unicodedata.normalize("NFC", password)
    return list(dict.fromkeys((composed, password, unicodedata.normalize("NFD", password))))


def _verifies(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def who(cur: cursor, token: str) -> Agent | None:
    """None where the token is unknown, revoked, too old, or its account disabled."""
    row = PEOPLE.one(cur, "who", digest=token_digest(token))
    return Agent(*row) if row else None


def valid_tokens(cur: cursor, digests: Sequence[bytes]) -> set[bytes]:
    """Those that would still let somebody in."""
    return {bytes(row.digest) for row in PEOPLE.all(cur, "valid", digests=list(digests))}


def revoke(cur: cursor, token: str) -> Any:
    """Whose it was: (tenant, agent). None: it was none already."""
    return PEOPLE.one(cur, "revoke", digest=token_digest(token))


def blocked_s(cur: cursor, subjects: Sequence[bytes]) -> float | None:
    """Seconds until the last of the subjects may try to log in again, None where all may now."""
    row = PEOPLE.one(cur, "blocked", subjects=list(subjects), window_s=FAILURES_WINDOW_S)
    return None if row is None else max(0.0, row.wait_s)


def login_subject(key: str, *parts: str) -> bytes:
    """What failed logins are counted under. Keyed, for addresses and e-mails are few enough to be found by hashing them
    all."""
    secret, text = key.encode(errors="surrogateescape"), "\0".join(parts).encode(errors="surrogatepass")
    return hmac.digest(secret, text, "sha256")


def hashed(password: str, *own: str) -> str:
    """Slow on purpose, so before a transaction, never inside one. `own`: as of `passwords.refusal`. Raises
    `AccountError`."""
    composed = unicodedata.normalize("NFC", password)
    if why := passwords.refusal(composed, *own):
        raise AccountError(why)
    return HASHER.hash(composed)


@functools.cache
def nobodys_hash() -> str:
    """What the password of an unknown e-mail is compared with; once a process, for it is slow too."""
    return HASHER.hash(secrets.token_hex(16))

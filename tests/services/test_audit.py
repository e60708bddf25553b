"""The audit: what the admin tool's commands write of themselves, how it is shown, and how long it stays."""

import pytest

from db import audit, people
from db.inbox import limit_key
from db.postgres import Ledger
from scripts.admin.installation import typing_user
from testbed.passwords import CHEAP
from tests.services.line_of import Line
from tests.services.test_admin import SECRET, Ground
from worker.sweep import Sweeper

PASSWORD, WEBHOOK_SECRET, IDENTITY_SECRET = "correct horse battery", "webhook-secret-0815-x", "identity-secret-4711-x"
SECRETS = (SECRET, PASSWORD, WEBHOOK_SECRET, IDENTITY_SECRET, "argon2")
RULES = '[queues.rest]\nagents = { channel = true }\n\n[default]\nqueue = "rest"\n'


@pytest.fixture
def ground(database_url, redis_url, monkeypatch):
    monkeypatch.setattr(people, "HASHER", CHEAP)
    return Ground(database_url, redis_url)


def acts(ground: Ground, *more: str) -> list[tuple]:
    """Oldest first."""
    found = ground.json("audit", "--rows", "1000", *more)["acts"]
    return [(each["what"], each["tenant"], each["subject"], each["before"], each["after"]) for each in reversed(found)]


def test_every_command_that_changes_something_says_who_did_what_and_never_a_secret(ground, tmp_path):
    for name, text in {"key": SECRET, "hook": WEBHOOK_SECRET, "identity": IDENTITY_SECRET, "rules.toml": RULES}.items():
        (tmp_path / name).write_text(text)
    key, hook, identity, rules = (str(tmp_path / name) for name in ("key", "hook", "identity", "rules.toml"))
    app = ("tenant", "add", "app", "--url", "http://127.0.0.1:9", "--secret-key-file", key, "--no-check")
    ground.ok(*app, "--webhook-secret-file", hook)
    ground.ok("tenant", "add", "shop", "--native", "--name", "Shop", "--identity-secret-file", identity)
    typed = {"stdin": f"{PASSWORD}\n"}
    of = ("--tenant", "shop")
    ani = ground.json("agent", "add", "ani@x.id", "--name", "Ani", "--password-file", "-", *of, **typed)["agent"]
    ground.ok("agent", "divisions", "ani@x.id", "VIP")
    ground.ok("agent", "divisions", "ani@x.id")  # only shows
    ground.ok("agent", "password", "ani@x.id", "--password-file", "-", **typed)
    ground.ok("agent", "disable", "ani@x.id")
    ground.ok("agent", "enable", "ani@x.id")
    ground.ok("agent", "unlock", "ani@x.id", "--address", "192.0.2.7", SECRET_KEY="k" * 32)
    ground.ok("max", "7")
    ground.ok("max", "5", *of)
    ground.ok("agent", "limit", "ani@x.id", "3")
    ground.ok("agent", "limit", "ani@x.id", "4")
    ground.ok("agent", "limit", "ani@x.id", "--clear")
    ground.ok("agent", "limit", "ani@x.id")  # only shows
    ground.ok("faq", "import", "-", stdin="When?,Now.\n")
    ground.ok("routing", "apply", rules, "--yes", *of)
    ground.ok("routing", "reset", "--yes", *of)
    ground.add_rooms("r1", tenant="app")
    ground.sql("UPDATE visits SET refusals = 1")
    ground.ok("retry", "r1")
    ground.ok("operator", "add", "ops@x.id", "--password-file", "-", **typed)

    about_ani = {"email": "ani@x.id", "name": "Ani", "role": "agent", "divisions": []}
    added = {"added": True, "base_url": "http://127.0.0.1:9", "secret_key": "set", "webhook_secret": "set"}
    limit = limit_key()
    wanted = [
        ("tenant add", "app", "app", None, added),
        ("tenant add", "shop", "shop", None,
         {"name": "Shop", "color": None, "identity_secret": "set", "added": True}),
        ("agent add", "shop", ani, None, about_ani),
        ("agent divisions", "shop", ani, [], ["VIP"]),
        ("agent password", "shop", ani, None, None),
        ("agent disable", "shop", ani, False, True),
        ("agent enable", "shop", ani, True, False),
        ("agent unlock", "shop", ani, None, None),
        ("address unlock", None, "192.0.2.7", None, None),
        ("limit", None, limit, None, 7),
        ("limit", "shop", f"{limit}:shop", None, 5),
        ("limit", "shop", f"{limit}:shop:{ani}", None, 3),
        ("limit", "shop", f"{limit}:shop:{ani}", 3, 4),
        ("limit", "shop", f"{limit}:shop:{ani}", 4, None),
        ("faq", "shop", "", None, {"questions": 1}),
        ("routing apply", "shop", "version 1", 0, 1),
        ("routing reset", "shop", "version 2", 1, 2),
        ("retry", "app", "r1", None, None),
        ("operator add", None, "ops@x.id", None, None),
    ]  # fmt: skip
    assert acts(ground) == wanted
    (who,) = ground.sql("SELECT DISTINCT who, address FROM audit")
    assert who == (f"giliran:{typing_user()}", None)
    kept = str(ground.sql("SELECT * FROM audit"))
    assert not [each for each in SECRETS if each in kept]

    assert {tenant for _, tenant, *_ in acts(ground, "--tenant", "shop")} == {"shop"}
    ground.ok("tenant", "remove", "shop", "--yes")
    assert {tenant for _, tenant, *_ in acts(ground)} == {"app", None}, "a tenant takes its own with it"
    assert acts(ground)[-1][:3] == ("tenant remove", None, "shop")
    ground.ok("installation", "new", "--yes")
    what, tenant, _, before, after = acts(ground)[-1]
    assert (what, tenant) == ("installation new", None) and before != after


def test_the_audit_is_a_table_for_people_and_asked_for_by_number(ground):
    assert "nothing was changed by hand yet" in ground.ok("audit")
    ground.add_tenant("shop")
    ledger = Ledger(ground.database_url, "test")
    with ledger.transaction() as cur:
        for number in range(5):
            audit.write(cur, "shop", "sri@x.id", "limit", f"agent {number}", 2, number, "192.0.2.1")
        audit.write(cur, None, "ops@x.id", "note", "\x1b[31m" + "x" * 500, after={"text": "Ubud, Bali – ünïcode"})
        numbers = [row["id"] for row in audit.read(cur, "shop", 10)]
        assert numbers == sorted(numbers, reverse=True) and len(numbers) == 5
        assert [row["id"] for row in audit.read(cur, "shop", 2, before=numbers[1])] == numbers[2:4]
        assert len(audit.read(cur, None, 10)) == 6
    ledger.close()
    shown = ground.ok("audit", "--rows", "3").splitlines()
    assert len(shown) == 4 and shown[0].split()[:3] == ["AT", "WHO", "TENANT"]
    assert "\x1b" not in shown[1] and "ünïcode" in shown[1] and "sri@x.id" in shown[2] and "192.0.2.1" in shown[2]
    assert len(ground.ok("audit", "--rows", "0").splitlines()) == 7
    assert len(ground.json("audit", "--rows", str(10**30))["acts"]) == 6
    assert ground.run("audit", "--tenant", "nobody").exit_code == 3
    assert ground.run("audit", "--rows", "-1").exit_code == 2


def test_the_audit_is_kept_as_long_as_the_history(line: Line) -> None:
    with line.ledger.transaction() as cur:
        for tenant in (line.tenant, None):
            audit.write(cur, tenant, "sri@x.id", "old")
            audit.write(cur, tenant, "sri@x.id", "young")
    line.run("UPDATE audit SET at = now() - interval '91 days' WHERE what = 'old'")
    Sweeper(line.work())._prune(line.tenant)
    assert [row.what for row in line.rows("SELECT what FROM audit")] == ["young", "young"]

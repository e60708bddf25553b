"""What `giliran doctor` makes of facts: each judgement, its words in the docs, and how a report looks."""

import json
import re
import shutil
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from db.installation import not_ours
from scripts.admin.doctor import certificates, clocks, desks, disk, postgres, processes, redis, setup, tenants
from scripts.admin.doctor.check import ERROR, LEVELS, OK, WARNING, Finding, worst
from scripts.admin.doctor.facts import certificates as certificate_facts
from scripts.admin.doctor.facts.at_once import CantRead, Unread, at_once
from scripts.admin.doctor.facts.certificates import Certificate, ends_at
from scripts.admin.doctor.facts.desks import Answered, Strangers
from scripts.admin.doctor.facts.disk import Disk
from scripts.admin.doctor.facts.everything import Facts
from scripts.admin.doctor.facts.places import is_near
from scripts.admin.doctor.facts.postgres import Postgres
from scripts.admin.doctor.facts.processes import Door, Process
from scripts.admin.doctor.facts.redis import Redis
from scripts.admin.doctor.facts.tenants import Tenant
from scripts.admin.doctor.judged import groups
from scripts.admin.doctor.processes import Processes
from scripts.admin.doctor.report import CHECKS, Group, as_data, as_text
from scripts.admin.doctor.setup import Setup, is_weak
from settings import Servers, load
from sidecar.files import attachments, quota, shelf
from tests.source import ROOT, text
from tests.unit.test_words import OPERATIONS, rows, section
from tests.variants import each

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
REAL = {"DEMO": "0", "DATABASE_URL": "postgresql://me:hpT5xxkQw2@127.0.0.1/x", "REDIS_URL": "redis://127.0.0.1/0"}
HOST = "here"


def found(findings: list[Finding], code: str) -> Finding:
    """The one of this check."""
    (one,) = [finding for finding in findings if finding.check == code]
    return one


def levels(findings: list[Finding]) -> dict[str, str]:
    """Of all checks that are not ok."""
    return {finding.check: finding.level for finding in findings if finding.level != OK}


# --- words


def test_the_docs_have_every_check_in_order_with_its_words() -> None:
    told = [row for row in rows(section(OPERATIONS, "Doctor")) if row[0].startswith("`")]
    assert told == [[f"`{check.code}`", check.fine, check.advice] for check in CHECKS]


def test_each_check_has_a_code_of_its_own() -> None:
    assert len({check.code for check in CHECKS}) == len(CHECKS) > 40


def test_every_problem_that_ops_can_show_has_a_level_here() -> None:
    codes = set(re.findall(r'problem\(\s*"(\w+)"', text(ROOT / "views/now.py")))
    assert codes - set(tenants.OF_ALL) == {check.code for check in tenants.PROBLEMS}


def test_bounds_are_those_of_the_sidecar() -> None:
    assert (disk.SPARE_BYTES, disk.FEW_LEFT) == (shelf.SPARE_BYTES, attachments.FEW_LEFT)
    assert tenants.NEARLY == quota.NEARLY


# --- settings


def judged(environment: dict[str, str] | None = None, file: dict[str, str] | None = None, **more: Any) -> list[Finding]:
    environment = {**REAL, **(environment or {})}
    return setup.judge(Setup(load({**(file or {}), **environment}, None), environment, file or {}, more))


def test_settings_that_are_well_are_ok() -> None:
    assert levels(judged()) == {}


@each(
    ("environment", "code", "said"),
    [
        ({"MAX_AGENT_CHATS": "3"}, "settings_unknown", "did you mean MAX_AGENT_CHAT?"),
        ({"CHAT_PORT": "8000"}, "settings_contradiction", "PORT and CHAT_PORT are both 8000"),
        ({"FILES_PER_TENANT_MB": "5"}, "settings_contradiction", "no such file is ever taken"),
        ({"IDLE_SECONDS": "4"}, "settings_contradiction", "IDLE_SECONDS is less"),
        ({"DEMO": "1", "QISCUS_APP_ID": "shop"}, "settings_contradiction", "QISCUS_APP_ID is ignored"),
        ({"DEMO": "1", "HOST": "0.0.0.0"}, "demo_open", "listens on 0.0.0.0"),
        ({"WEBHOOK_SECRET": "a" * 40}, "weak_secret", "WEBHOOK_SECRET"),
        ({"SECRET_KEY": "changeme-changeme"}, "weak_secret", "SECRET_KEY"),
        ({"REDIS_URL": "redis://:redis123@10.0.0.1/0"}, "weak_secret", "the password in REDIS_URL"),
        (
            {"WEBHOOK_SECRET": "k3Jw9xQz71LmVb0T", "SECRET_KEY": "k3Jw9xQz71LmVb0T"},
            "shared_secret",
            "WEBHOOK_SECRET and",
        ),
    ],
)
def test_a_setting_that_was_hardly_meant_is_a_warning(environment: dict[str, str], code: str, said: str) -> None:
    one = found(judged(environment), code)
    assert (one.level, said in one.message) == (WARNING, True), one
    assert one.advice


def test_two_values_of_one_setting_are_named_but_not_shown() -> None:
    one = found(
        judged({"WEBHOOK_SECRET": "k3Jw9xQz71LmVb0T"}, {"WEBHOOK_SECRET": "Zk3Jw9xQz71LmVb0"}), "settings_twice"
    )
    assert one.level == WARNING and "WEBHOOK_SECRET" in one.message
    assert "k3Jw9xQz71LmVb0" not in json.dumps(one)


def test_each_process_may_have_ports_of_its_own() -> None:
    assert levels(judged({"WORKER_PORT": "9001"}, {"WORKER_PORT": "9000"})) == {}


def test_an_env_file_that_others_read_is_said_in_the_words_of_the_start() -> None:
    one = found(judged(env_file_readable=".env can be read by other users: chmod 600 .env"), "env_file_readable")
    assert one.level == WARNING and "other users" in one.message


@each("secret", ["short", "1234567890123456", "password12345678", "giliran-secret-1", "abababababababab"])
def test_secrets_that_are_guessed_first_are_weak(secret: str) -> None:
    assert is_weak(secret)


@each("secret", ["k3Jw9xQz71LmVb0T", "9f86d081884c7d659a2feaa0c55ad015", "correct horse battery staple"])
def test_random_secrets_are_not_weak(secret: str) -> None:
    assert not is_weak(secret)


# --- PostgreSQL

GOOD = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "transaction_read_only": "off",
    "log_min_error_statement": "panic",
    "superuser_reserved_connections": "3",
    "reserved_connections": "0",
}
POSTGRES = Postgres("18.4", GOOD, 100, 20, False, False, True, None, None, 0.0, 0.001, "0" * 16, 1)


def with_setting(**values: str) -> Postgres:
    return replace(POSTGRES, settings={**GOOD, **values})


@each(
    ("server", "expected"),
    [
        (POSTGRES, {}),
        (with_setting(fsync="off"), {"postgres_fsync": ERROR}),
        (with_setting(full_page_writes="off"), {"postgres_fsync": ERROR}),
        (with_setting(synchronous_commit="off"), {"postgres_synchronous_commit": ERROR}),
        (with_setting(synchronous_commit="remote_apply"), {}),
        (with_setting(transaction_read_only="on"), {"postgres_writes": ERROR}),
        (with_setting(log_min_error_statement="error"), {"postgres_log": WARNING}),
        (replace(POSTGRES, connections=81), {}),
        (replace(POSTGRES, connections=82), {"postgres_connections": WARNING}),
        (replace(POSTGRES, connections=97), {"postgres_connections": ERROR}),
        (replace(POSTGRES, misfit="the database is not migrated"), {"schema_version": ERROR}),
        (replace(POSTGRES, pooled="the pooler shares"), {"postgres_pooler": ERROR}),
        (replace(POSTGRES, denied=("visits",)), {"postgres_rights": ERROR}),
        (replace(POSTGRES, near=False), {"postgres_tls": ERROR}),
        (replace(POSTGRES, near=False, tls=True), {"postgres_tls": WARNING}),
        (replace(POSTGRES, near=False, tls=True, verified=True), {}),
        (Unread("PostgreSQL does not answer in time"), {"postgres_reachable": ERROR}),
    ],
)
def test_postgresql_is_judged(server: Postgres | Unread, expected: dict[str, str]) -> None:
    assert levels(postgres.judge(server)) == expected


# --- Redis

INFO = {"redis_version": "7.2.4", "used_memory": 10 * 2**20, "maxmemory": 0, "maxmemory_policy": "noeviction"}
INFO |= {"aof_enabled": 1, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok"}
REDIS = Redis("0" * 16, False, True, False, True, INFO, "everysec")


def with_info(**values: Any) -> Redis:
    return replace(REDIS, info={**INFO, **values})


@each(
    ("server", "expected"),
    [
        (REDIS, {}),
        (replace(REDIS, owner=None), {}),
        (replace(REDIS, owner="f" * 16), {"redis_owner": ERROR}),
        (replace(REDIS, trouble="Redis is full: raise its maxmemory"), {"redis_stores": ERROR}),
        (replace(REDIS, denied=("may not use BLPOP",)), {"redis_rights": ERROR}),
        (replace(REDIS, info={}), {"redis_info": WARNING}),
        (with_info(maxmemory_policy="allkeys-lru"), {"redis_eviction": WARNING}),
        (with_info(maxmemory_policy="allkeys-lru", maxmemory=2**30), {"redis_eviction": ERROR}),
        (with_info(maxmemory=12 * 2**20), {"redis_memory": WARNING}),
        (with_info(maxmemory=10 * 2**20), {"redis_memory": ERROR}),
        (with_info(maxmemory=100 * 2**20), {}),
        (with_info(redis_version="6.0.16"), {"redis_version": ERROR}),
        (with_info(aof_enabled=0), {"redis_persistence": WARNING}),
        (with_info(aof_last_write_status="err"), {"redis_persistence": ERROR}),
        (replace(REDIS, appendfsync="no"), {"redis_persistence": WARNING}),
        (replace(REDIS, password=False), {"redis_open": WARNING}),
        (replace(REDIS, password=False, alone=True), {}),
        (replace(REDIS, near=False), {"redis_open": ERROR}),
        (replace(REDIS, near=False, tls=True), {}),
        (Unread("Redis does not answer in time"), {"redis_reachable": ERROR}),
    ],
)
def test_redis_is_judged(server: Redis | Unread, expected: dict[str, str]) -> None:
    assert levels(redis.judge(server, "0" * 16)) == expected


def test_a_redis_of_another_installation_is_said_in_the_words_of_the_start() -> None:
    assert found(redis.judge(replace(REDIS, owner="f" * 16), "0" * 16), "redis_owner").message == not_ours("f" * 16)


# --- processes


def process(kind: str, host: str = HOST, version: str = "1", peer: str | None = None) -> Process:
    return Process(f"{kind}@{host}:7", kind, host, version, peer)


ALL = [process("receiver"), process("worker"), process("sidecar")]
DOORS = {"receiver": Door(8000, 200), "sidecar": Door(8001, 200)}
RUNNING = Processes(ALL, DOORS, 1, "1", HOST, True)
SHUT = {kind: Door(door.port, None) for kind, door in DOORS.items()}
ELSEWHERE = [process("receiver", "there"), process("worker", "there"), process("sidecar", "there")]


@each(
    ("seen", "expected"),
    [
        (RUNNING, {}),
        (replace(RUNNING, doors=SHUT, running=ELSEWHERE), {}),
        (replace(RUNNING, doors=SHUT), {"receiver": ERROR, "sidecar": ERROR}),
        (replace(RUNNING, doors=SHUT, running=ALL[1:2]), {"receiver": ERROR, "sidecar": ERROR}),
        (replace(RUNNING, doors=SHUT, running=ALL[:2]), {"receiver": ERROR, "sidecar": ERROR}),
        (replace(RUNNING, doors={**DOORS, "sidecar": SHUT["sidecar"]}, running=ALL[:2], needs_sidecar=False), {}),
        (replace(RUNNING, doors={**DOORS, "receiver": Door(8000, 503, "Redis is full")}), {"receiver": ERROR}),
        (replace(RUNNING, doors={**DOORS, "worker": Door(8003, 503, "for 9 s: it hangs")}), {"worker": ERROR}),
        (replace(RUNNING, workers=0), {"worker": ERROR}),
        (replace(RUNNING, running=Unread("Redis is away")), {}),
        (replace(RUNNING, running=Unread("Redis is away"), workers=None), {"worker": ERROR}),
        (replace(RUNNING, running=[*ALL, process("worker", "there", "0.9")]), {"process_versions": WARNING}),
        (replace(RUNNING, running=[*ALL[:2], process("sidecar", peer="10.0.0.5")]), {"proxy_not_trusted": WARNING}),
    ],
)
def test_processes_are_judged(seen: Processes, expected: dict[str, str]) -> None:
    assert levels(processes.judge(seen)) == expected


def test_no_worker_is_said_in_the_words_of_ops() -> None:
    assert (
        found(processes.judge(replace(RUNNING, workers=0)), "worker").message == "no worker is running: nothing moves"
    )


# --- clocks, disk, certificates


@each(
    ("ahead_s", "unsure_s", "level"),
    [(0.0, 0.0, OK), (0.9, 0.0, OK), (-1.5, 0.0, WARNING), (1.5, 0.6, OK), (30.0, 0.1, WARNING), (-3600.0, 0.1, ERROR)],
)
def test_a_clock_is_judged_by_what_the_question_cannot_explain(ahead_s: float, unsure_s: float, level: str) -> None:
    one = clocks.judge(clocks.REDIS, "Redis", ahead_s, unsure_s)
    assert one and one.level == level
    assert level == OK or ("behind" if ahead_s < 0 else "ahead of") in one.message


@each(("free", "level"), [(4 * 2**30, OK), (2**30, WARNING), (2**28, ERROR)])
def test_the_disk_is_judged_as_the_sidecar_judges_it(free: int, level: str) -> None:
    assert disk.judge(Disk("/var/lib/giliran", free)).level == level


def test_certificates_are_judged_by_the_days_that_are_left() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    given = [Certificate("https://chat", now + timedelta(days=days)) for days in (90, 20, 2, -1)]
    given.append(Certificate("REDIS_URL", None, "it does not speak TLS"))
    judged = certificates.judge(given, now)
    assert [finding.level for finding in judged] == [OK, WARNING, ERROR, ERROR, WARNING]
    assert "ended on 2025-12-31" in judged[3].message
    assert certificates.judge([], now)[0].level == OK


@needs_openssl
@each(("days", "key"), [(40, "ec"), (20_000, "rsa")])
def test_the_end_of_a_certificate_is_read_as_openssl_wrote_it(days: int, key: str) -> None:
    """The second one ends after 2049: its time has another form."""
    kind = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if key == "ec" else ["rsa:2048"]
    command = ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"]
    made = subprocess.run([*command, "-outform", "DER", "-days", str(days)], capture_output=True, check=True).stdout
    assert abs(ends_at(made) - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)


@each("junk", [b"", b"\x30", b"\x30\x02\x30\x00", b"hello world", b"\x30\x80" + b"\x00" * 8])
def test_what_is_no_certificate_has_no_end(junk: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        ends_at(junk)


@each(("host", "near"), [("127.0.0.1", True), ("10.1.2.3", True), ("::1", True), ("/run", True), ("8.8.8.8", False)])
def test_a_private_network_is_near(host: str, near: bool) -> None:
    assert is_near(host) is near


# --- tenants and desks

TENANT = Tenant("shop", "qiscus", (), 2, (2, 3), {}, None, 0, 0)
SETTINGS = load({**REAL, "QISCUS_APP_ID": "shop", "QISCUS_SECRET_KEY": "a-key"}, None)
ROW = SimpleNamespace(id="shop", base_url=SETTINGS.qiscus_url, secret_key="a-key", own_webhook_secret=False)


@each(
    ("tenant", "expected"),
    [
        (TENANT, {}),
        (replace(TENANT, limits=(0, 0)), {"limit_zero": ERROR}),
        (replace(TENANT, limits=(0, 1)), {}),
        (replace(TENANT, limits=(), limit=0), {"limit_zero": ERROR}),
        (replace(TENANT, invalid={"config:max_agent_chat": "many"}), {"limit_invalid": WARNING}),
        (replace(TENANT, missed_s=60.0, missed=3), {"webhooks_missed": WARNING}),
        (replace(TENANT, missed_s=86_400.0, missed=3), {}),
        (replace(TENANT, files_bytes=17 * 2**30), {"files_full": WARNING}),
        (replace(TENANT, files_bytes=20 * 2**30), {"files_full": ERROR}),
        (replace(TENANT, problems=[{"code": "desk_paused", "message": "refused"}]), {"desk_paused": ERROR}),
        (replace(TENANT, problems=[{"code": "shut", "message": "outside the hours"}]), {}),
        (replace(TENANT, problems=[{"code": "no_worker", "message": "said elsewhere"}]), {}),
    ],
)
def test_a_tenant_is_judged(tenant: Tenant, expected: dict[str, str]) -> None:
    assert levels(tenants.judge(tenant, SETTINGS)) == expected


@each(
    ("answer", "level", "said"),
    [
        (Answered(0.2), OK, "200 ms"),
        (Answered(3.5), WARNING, "slow"),
        (Answered(0.1, "HTTP 401", True), ERROR, "refuses our credentials: HTTP 401"),
        (Answered(2.5, "no connection"), ERROR, "could not be asked"),
        (Unread("no answer within 4 s"), ERROR, "no answer within 4 s"),
    ],
)
def test_a_desk_is_judged_by_its_answer(answer: Answered | Unread, level: str, said: str) -> None:
    one = desks.answers("shop", answer)
    assert (one.level, said in one.message) == (level, True), one


def test_credentials_that_differ_from_the_settings_are_told_of_their_own_tenant_only() -> None:
    assert desks.credentials(ROW, SETTINGS).level == OK
    assert desks.credentials(SimpleNamespace(**{**vars(ROW), "secret_key": "old"}), SETTINGS).level == WARNING
    assert desks.credentials(SimpleNamespace(**{**vars(ROW), "id": "b", "secret_key": "old"}), SETTINGS).level == OK


def test_an_open_door_is_told_unless_the_tenant_has_a_secret_of_its_own() -> None:
    warning = "everybody who reaches the receiver may post webhooks: set WEBHOOK_SECRET"
    assert desks.door(ROW, SETTINGS, warning).level == WARNING
    assert desks.door(ROW, SETTINGS, None).level == OK
    assert desks.door(SimpleNamespace(**{**vars(ROW), "own_webhook_secret": True}), SETTINGS, warning).level == OK


def test_whom_the_rules_name_in_vain_is_told() -> None:
    assert desks.strangers("shop", Strangers()).level == OK
    named = desks.strangers("shop", Strangers(("line 3: nobody is in this division",)))
    assert named.level == WARNING and "line 3" in named.message
    assert "timeout" in desks.strangers("shop", Strangers(trouble="timeout")).message


# --- the report


def test_one_that_fails_or_hangs_hides_no_other() -> None:
    def fail() -> None:
        raise CantRead("it is away")

    def err() -> None:
        raise RuntimeError("with a secret")

    began = time.monotonic()
    known = at_once({"a": lambda: 7, "b": fail, "c": err, "d": lambda: time.sleep(60)}, 0.2)
    assert time.monotonic() - began < 5
    assert known["a"] == 7 and known["b"] == Unread("it is away")
    assert known["c"] == Unread("a defect of giliran (RuntimeError)")
    assert known["d"].why.startswith("no answer within")


GROUPS = [
    Group("Redis", [redis.REACHED.ok(), redis.MEMORY.warning("nearly full")]),
    Group("Tenant shop", [*(check.ok("", "shop") for check in tenants.PROBLEMS), tenants.ZERO.error("all 0", "shop")]),
]


def test_the_exit_code_is_that_of_the_worst() -> None:
    for number, level in enumerate(LEVELS):
        assert worst([redis.REACHED.ok(), redis.REACHED.found(level, "x")]) == number
    assert worst([]) == 0


def test_a_person_reads_aligned_lines_with_advice_and_one_line_for_what_is_ok_of_a_tenant() -> None:
    lines = click.unstyle(as_text(GROUPS)).splitlines()
    assert lines[:4] == [
        "Redis",
        "  ok       redis_reachable  Redis answers",
        "  warning  redis_memory     nearly full",
        f"                            → {redis.MEMORY.advice}",
    ]
    assert "  ok       12 checks ok (--json has all)" in lines
    assert lines[-1] == "1 error, 1 warning, 13 ok"


def test_a_program_reads_every_check_with_its_level_and_a_summary() -> None:
    data = json.loads(json.dumps(as_data(GROUPS)))
    assert data["summary"] == {"ok": 13, "warnings": 1, "errors": 1}
    assert len(data["checks"]) == 15
    assert {"check", "level", "message", "advice"} <= data["checks"][0].keys()
    assert data["checks"][-1]["tenant"] == "shop"


def test_what_the_desk_says_cannot_command_the_terminal() -> None:
    one = desks.answers("shop", Answered(0.1, "\x1b[2Jgone"))
    assert "\x1b" not in click.unstyle(as_text([Group("x", [one])]))


def test_everything_away_is_a_report_all_the_same() -> None:
    away = Unread("no answer within 6 s")
    facts = Facts(away, away, away, SHUT, away, [], away, {}, {})
    shown = groups(Setup(SETTINGS, {}, {}, {}), facts, HOST, datetime.now(UTC))
    told = {finding.check for group in shown for finding in group.findings if finding.level == ERROR}
    assert told == {"postgres_reachable", "redis_reachable", "receiver", "worker", "sidecar", "tenants"}


@needs_openssl
def test_of_several_certificates_in_a_file_the_one_that_ends_first_counts(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"]
    commands = [[*command, "-days", days] for days in ("90", "5")]
    made = [subprocess.run(each, capture_output=True, check=True, text=True).stdout for each in commands]
    (tmp_path / "ca.pem").write_text("".join(made))
    url = f"rediss://127.0.0.1:1/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
    port, file = certificate_facts.read(Servers("postgresql://127.0.0.1/x", url), False, ())
    assert port.ends_at is None and "can't be read" in port.trouble
    assert file.name == "ssl_ca_certs in REDIS_URL"
    assert file.ends_at and abs(file.ends_at - datetime.now(UTC) - timedelta(days=5)) < timedelta(minutes=1)

"""The examples of `deploy/` against the code, the Procfile, the settings and the docs; and by their own tools where
this machine has them. `tests/path/test_deployed.py` runs them.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import settings
from scripts.launch import procfile
from tests.metric_table import in_docs, series
from tests.promql import ALERTS, BOARD, DEPLOY, NAMED, Rule, alerts, board, board_expressions, rules, wrong_names
from tests.source import ROOT
from tests.unit.test_words import OPERATIONS, example, section

PROMTOOL, NGINX, CADDY, SYSTEMD = (
    shutil.which(name, path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin")
    for name in ("promtool", "nginx", "caddy", "systemd-analyze")
)
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
NGINX_CONF = (DEPLOY / "nginx/giliran.conf").read_text()
CADDYFILE = (DEPLOY / "caddy/Caddyfile").read_text()
WEBHOOK = r"^/([^/]+/)?(allocate-agent|mark-as-solved|mark-as-resolved)/webhook/?$"
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool: apt-get install prometheus")


def run(*words: str | Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False)


def ok(*words: str | Path | None) -> None:
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr


# --- Prometheus and Grafana


def test_alerts_and_board_name_series_and_labels_that_exist() -> None:
    expressions = [rule.expr for rule in rules()] + board_expressions()
    assert len(expressions) > 80
    assert [wrong for expr in expressions for wrong in wrong_names(expr)] == []


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ("max(giliran_line_wating)", "giliran_line_wating"),
        ('giliran_wait_seconds_bucket{verb="x"}', "giliran_wait_seconds_bucket{verb}"),
        ("sum by (verb) (giliran_line_waiting)", "verb"),
        ("rate(giliran_wait_seconds[5m])", "giliran_wait_seconds"),
    ],
)
def test_a_wrong_name_would_be_found(expr: str, wrong: str) -> None:
    assert list(wrong_names(expr)) == [f"{wrong} in {expr}"]


def test_the_board_shows_every_metric() -> None:
    """A metric that nobody looks at need not be there; those of one worker's oddities are in alerts alone."""
    shown = {name for expr in board_expressions() for name, _ in NAMED.findall(expr)}
    shown |= {name for rule in rules() for name, _ in NAMED.findall(rule.expr)}
    there = {name for name in series() if name.startswith("giliran_") and not name.endswith(("_sum", "_count"))}
    assert there - shown == set()


def test_every_panel_has_an_id_a_place_and_a_sentence() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 40
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, wide, high = (panel["gridPos"][name] for name in "xywh")
        mine = {(column, line) for column in range(x, x + wide) for line in range(y, y + high)}
        assert x + wide <= 24 and not mine & cells, panel["title"]
        cells |= mine
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]


def test_every_alert_says_what_is_wrong_and_leads_to_a_section() -> None:
    assert len(alerts()) > 30
    for alert in alerts():
        assert re.search(r"severity: (page|ticket) ", alert.text), alert.name
        assert re.search(r"^          summary: \S.{20,}", alert.text, re.M), alert.name
        [where] = re.findall(r"^          runbook: (\S+)$", alert.text, re.M)
        assert re.search(rf"^##+ {where.replace('-', ' ')}$", OPERATIONS, re.M | re.I), (alert.name, where)


def test_the_docs_have_every_alert_that_wakes_somebody() -> None:
    def wakes(alert: Rule) -> bool:
        return "severity: page" in alert.text

    told = re.findall(r"^\| `(Giliran\w+)` \|", section(OPERATIONS, "Alerts"), re.M)
    assert sorted(told) == sorted(alert.name for alert in alerts() if wakes(alert))


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tests = "".join(path.read_text() for path in ALERTS.parent.glob("*.test.yml"))
    fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))
    assert fires == {alert.name for alert in alerts()}


@needs_promtool
def test_promtool_accepts_the_rules_the_configuration_and_every_expression_of_the_board(tmp_path: Path) -> None:
    asked = tmp_path / "board.yml"
    lines = [f"      - record: board:{n}\n        expr: '{expr}'" for n, expr in enumerate(board_expressions())]
    assert not any("'" in expr for expr in board_expressions())
    asked.write_text("groups:\n  - name: board\n    rules:\n" + "\n".join(lines) + "\n")
    ok(PROMTOOL, "check", "rules", ALERTS, asked)
    ok(PROMTOOL, "check", "config", ALERTS.parent / "prometheus.yml")


@needs_promtool
def test_promtool_sees_every_alert_fire_and_stay_silent() -> None:
    ok(PROMTOOL, "test", "rules", *sorted(ALERTS.parent.glob("*.test.yml")))


# --- systemd


def test_the_units_start_what_the_procfile_starts() -> None:
    commands = {}
    for unit in UNITS:
        name = re.sub(r"^giliran-|@?\.service$", "", unit.name)
        [started] = re.findall(r"^ExecStart=/srv/giliran/\.venv/bin/(.+)$", unit.read_text(), re.M)
        commands[name] = started
    wanted = {name: " ".join(command) for name, command in procfile.read(ROOT / "Procfile").items()}
    assert commands == wanted


def test_the_units_set_settings_that_exist_and_wait_as_long_as_the_docs_say() -> None:
    for unit in UNITS:
        text = unit.read_text()
        given = re.findall(r"([A-Z_]+)=\S", " ".join(re.findall(r"^Environment=(.*)$", text, re.M)))
        assert set(given) - {"PYTHONDONTWRITEBYTECODE"} <= set(settings.NAMES) == set(example()), unit.name
        assert "release" in unit.name or "TimeoutStopSec=30\n" in text, unit.name
    for name in re.findall(r"giliran-[\w@.]+", (DEPLOY / "systemd/giliran.target").read_text()):
        assert (DEPLOY / "systemd" / re.sub(r"@\d+", "@", name)).is_file() or name == "giliran-release", name


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd-analyze: apt-get install systemd")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Where they say that Giliran is, is nothing on this machine."""
    python = tmp_path / "bin"
    python.mkdir()
    for name in ("python", "gunicorn"):
        (python / name).write_text("#!/bin/sh\n")
        (python / name).chmod(0o755)
    for unit in (DEPLOY / "systemd").iterdir():
        made = tmp_path / unit.name
        made.write_text(unit.read_text().replace("/srv/giliran/.venv/bin", str(python)))
    names = [unit.name.replace("@", "@8003") for unit in UNITS]
    done = run("env", f"SYSTEMD_UNIT_PATH={tmp_path}:", SYSTEMD, "verify", *(tmp_path / n for n in names))
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "giliran" in line]
    assert (done.returncode, ours) == (0, [])


# --- proxies


def test_the_examples_use_the_ports_paths_and_limits_of_the_product() -> None:
    ports, known = example(), [rule for rule in NGINX_CONF.splitlines() if "server 127" in rule]
    assert [re.findall(r":(\d+); # (\w+)", line)[0] for line in known] == [
        (ports["PORT"], "PORT"),
        (ports["CHAT_PORT"], "CHAT_PORT"),
    ]
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", CADDYFILE)) == {ports["PORT"], ports["CHAT_PORT"]}
    scraped = set(re.findall(r"127\.0\.0\.1:(\d+)", (DEPLOY / "prometheus/prometheus.yml").read_text()))
    workers = set(re.findall(r"giliran-worker@(\d+)", (DEPLOY / "systemd/giliran.target").read_text()))
    assert scraped == {ports["PORT"], ports["CHAT_PORT"], *workers}
    largest = int(ports["UPLOAD_MAX_MB"]) + 1
    assert f"client_max_body_size    {largest}m;" in NGINX_CONF and f"max_size {largest}MiB" in CADDYFILE
    for text in (NGINX_CONF, CADDYFILE):
        assert WEBHOOK in text and {"HOST", "TRUSTED_PROXIES"} <= set(settings.NAMES)
        assert "HOST=127.0.0.1 " in text and "TRUSTED_PROXIES=127.0.0.1 " in text


@pytest.mark.parametrize(
    "path", ["/allocate-agent/webhook", "/shop/mark-as-solved/webhook", "/mark-as-resolved/webhook/"]
)
def test_what_is_a_webhook_goes_to_the_receiver(path: str) -> None:
    assert re.match(WEBHOOK, path) and not re.match(WEBHOOK, f"/a/b{path}")


@pytest.mark.skipif(NGINX is None, reason="no nginx: apt-get install nginx")
def test_nginx_accepts_the_example(tmp_path: Path) -> None:
    made = tmp_path / "giliran.conf"
    made.write_text(
        re.sub(r"^ +ssl_certificate.*\n", "", NGINX_CONF, flags=re.M)
        .replace("ssl http2", "http2")
        .replace("/var/log/nginx", str(tmp_path))
        .replace("listen 80;", "listen 22880;").replace("listen [::]:80;", "")
        .replace("listen 443", "listen 22443").replace("listen [::]:443 http2;", "")
    )  # fmt: skip
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ include {made}; }}\n")
    ok(NGINX, "-t", "-c", whole, "-e", tmp_path / "error.log")


@pytest.mark.skipif(CADDY is None, reason="no Caddy: apt-get install caddy")
def test_caddy_accepts_the_example() -> None:
    ok(CADDY, "adapt", "--adapter", "caddyfile", "--config", DEPLOY / "caddy/Caddyfile")


# --- Redis and PgBouncer


def test_the_user_of_redis_has_the_rights_of_the_docs() -> None:
    [told] = re.findall(r"ACL SETUSER (.*?)\n  ```", section(OPERATIONS, "Redis"), re.S)
    [given] = re.findall(r"^user (.*)$", (DEPLOY / "redis/users.acl").read_text(), re.M)
    assert given.replace(">CHANGE-THIS-PASSWORD", ">PASSWORD").split() == told.split()


def test_pgbouncer_pools_sessions() -> None:
    assert "\npool_mode = session\n" in (DEPLOY / "pgbouncer/pgbouncer.ini").read_text()


def test_every_example_is_in_the_docs() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    there = {str(path.relative_to(ROOT)) for path in DEPLOY.rglob("*") if path.is_file()}
    told = set(re.findall(r"\]\(\.\./(deploy/[^)]+)\)", page))
    assert there == {name for name in told if (ROOT / name).is_file()}
    assert in_docs() and BOARD.is_file()

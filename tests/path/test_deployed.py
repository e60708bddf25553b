"""The examples of `deploy/` as they run: nginx and Caddy with HTTPS before real processes, Prometheus beside them."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from testbed.chathouse import ChatHouse, chat_house
from testbed.deadlines import eventually
from testbed.servers import folder, free_port
from tests.promql import ALERTS, DEPLOY, alerts, board_expressions

NGINX, CADDY, PROMETHEUS, OPENSSL = (
    shutil.which(name, path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin")
    for name in ("nginx", "caddy", "prometheus", "openssl")
)
HOST, SECRET, APP = "chat.example.com", "a-secret-of-this-test-only", "app-1"
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus: apt-get install prometheus")
JSON = {"Content-Type": "application/json"}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[ChatHouse]:
    env = {"DEMO": "0", "WEBHOOK_SECRET": SECRET, "TRUSTED_PROXIES": "127.0.0.1", "WORKER_PORT": str(free_port())}
    with chat_house(_databases, _redis_databases, workers=0, receiver=False, **env) as made:
        made.run("INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, 'http://127.0.0.1:9', 'x')", APP)
        made.house.start_worker()
        made.house.start_receiver()
        made.shop = made.new_shop(tenant="shop")  # type: ignore[attr-defined]
        yield made


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# --- nginx


class Proxy:
    """An example, with the ports of this test and a certificate that the test signed."""

    example: str
    ports: tuple[tuple[str, str], ...] = ()

    def __init__(self, place: Path, home: ChatHouse) -> None:
        self.place, self.port, self.plain = place, free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.host = f"{HOST}:{self.port}"
        text = (DEPLOY / self.example).read_text()
        known = {"place": place, "port": self.port, "plain": self.plain}
        servers = (("127.0.0.1:8000", home.house.env["PORT"]), ("127.0.0.1:8001", str(home.sidecar.port)))
        for was, now in (*((was, f"127.0.0.1:{port}") for was, port in servers), *self.ports):
            assert was in text, was
            text = text.replace(was, now.format(**known))
        self.write(text)

    def write(self, text: str) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Host": self.host, **more.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, verify=False, timeout=20, **more)

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/").status_code == 200
        except requests.RequestException:
            return False

    def logged(self) -> str:
        return "".join(path.read_text() for path in self.place.glob("*.log"))


class Nginx(Proxy):
    example = "nginx/giliran.conf"
    ports = (
        ("/etc/ssl/giliran", "{place}"),
        ("/var/log/nginx", "{place}"),
        ("listen 80;", "listen 127.0.0.1:{plain};"),
        ("listen 443 ssl", "listen 127.0.0.1:{port} ssl"),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
    )

    def write(self, text: str) -> None:
        (self.place / "giliran.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temp = "".join(f"{kind}_temp_path {self.place}/{kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""  # its workers write into the test's own folder
        whole = f"{user} pid {self.place}/pid; events {{}} http {{ {temp} include {self.place}/giliran.conf; }}"
        (self.place / "nginx.conf").write_text(whole)

    def command(self) -> list[str]:
        where = ["-c", str(self.place / "nginx.conf"), "-e", str(self.place / "start.log")]
        return [str(NGINX), *where, "-g", "daemon off;"]


class Caddy(Proxy):
    example = "caddy/Caddyfile"
    ports = ((f"{HOST} {{", f"https://{HOST}:{{port}} {{{{\n\ttls {{place}}/fullchain.pem {{place}}/privkey.pem"),)

    def write(self, text: str) -> None:
        options = f"admin off\nauto_https disable_redirects\ndefault_sni {HOST}\nstorage file_system {self.place}"
        (self.place / "Caddyfile").write_text(text.replace("{\n\tlog {", f"{{\n{options}\n\tlog {{", 1))

    def command(self) -> list[str]:
        return [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(self.place / "Caddyfile")]


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def proxy(home: ChatHouse, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    if OPENSSL is None or (NGINX if request.param is Nginx else CADDY) is None:
        pytest.skip("apt-get install nginx caddy openssl")
    with folder() as place:
        subject = ["-subj", f"/CN={HOST}", "-days", "1", "-nodes", "-newkey", "rsa:2048", "-x509"]
        alone = ["-addext", f"subjectAltName=DNS:{HOST}"]
        files = ["-keyout", str(place / "privkey.pem"), "-out", str(place / "fullchain.pem")]
        subprocess.run([str(OPENSSL), "req", *subject, *alone, *files], check=True, capture_output=True)
        made = request.param(place, home)
        with running(made.command(), place / "out.log"):
            eventually(made.answers, 15, "the proxy")
            yield made


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
def test_webhooks_pass_and_what_is_not_for_strangers_does_not(proxy: Proxy, home: ChatHouse) -> None:
    for number, path in enumerate(
        (f"/{APP}/allocate-agent/webhook", "/allocate-agent/webhook", f"/{APP}/mark-as-solved/webhook")
    ):
        body = {"app_id": APP, "room_id": str(number), "service": {"id": 5, "room_id": str(number)}}
        assert proxy.ask("POST", f"{path}?secret={SECRET}", json=body).status_code == 200, path
    assert proxy.ask("POST", f"/{APP}/allocate-agent/webhook?secret=wrong", json={"room_id": "8"}).status_code == 404
    large = b'{"room_id": "9", "x": "' + b"x" * 1_100_000 + b'"}'
    refused = proxy.ask("POST", f"/{APP}/allocate-agent/webhook?secret={SECRET}", data=large, headers=JSON)
    assert refused.status_code == 413 or (isinstance(proxy, Caddy) and refused.status_code == 502)
    for closed in ("/metrics", "/healthz", "/readyz", "/support/metrics", "/support/readyz", "/metrics/"):
        assert proxy.ask("GET", closed).status_code == 404, closed


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    if isinstance(proxy, Caddy):
        pytest.skip("Caddy does it by itself, on port 80 only")
    plain = requests.get(
        f"http://127.0.0.1:{proxy.plain}/agent", headers={"Host": HOST}, allow_redirects=False, timeout=5
    )
    assert (plain.status_code, plain.headers["Location"]) == (301, f"https://{HOST}/agent")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
@pytest.mark.parametrize("prefix", ["", "/support"])
def test_a_chat_goes_on_over_a_socket_and_with_large_files(proxy: Proxy, home: ChatHouse, prefix: str) -> None:
    assert "<html" in proxy.ask("GET", f"{prefix}/chat").text
    new = {"tenant_id": "shop", "name": "Maya", "email": "maya@example.com"}
    started = proxy.ask(
        "POST", f"{prefix}/api/v1/public/sessions", json=new, headers={"Origin": f"https://{proxy.host}"}
    )
    assert started.status_code == 201, started.text
    key = started.json()["session_key"]

    async def talk(origin: str) -> list[str]:
        """The texts that the page is shown. Raises `WSServerHandshakeError`."""
        url = f"wss://127.0.0.1:{proxy.port}{prefix}/ws/public/{key}"
        async with aiohttp.ClientSession() as http, asyncio.timeout(10):
            socket = await http.ws_connect(url, ssl=False, origin=origin, headers={"Host": proxy.host})
            await socket.send_json({"type": "chat.message.send", "payload": {"client_id": "abc123", "body": "halo"}})
            shown: list[str] = []
            async for message in socket:
                shown.append(message.json()["type"])
                if shown[-1] == "chat.message.ack":
                    return shown
            return shown

    assert asyncio.run(talk(f"https://{proxy.host}"))[-1] == "chat.message.ack"
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(talk("https://elsewhere.example"))

    uploads = f"{prefix}/api/v1/public/sessions/{key}/attachments"
    kept = proxy.ask("POST", uploads, files={"file": ("big.txt", b"x" * 5_000_000)})
    assert kept.status_code == 201, kept.text
    assert proxy.ask("POST", uploads, files={"file": ("big.txt", b"x" * 12_000_000)}).status_code == 413
    for secret in (key, SECRET, "maya"):
        assert secret not in proxy.logged()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
def test_an_outage_is_no_reason_to_log_secrets(proxy: Proxy, home: ChatHouse) -> None:
    receiver, sidecar = home.house.receiver, home.sidecar
    assert receiver is not None
    receiver.send_signal(signal.SIGTERM)
    receiver.wait(20)
    sidecar.stop()
    try:
        assert proxy.ask("POST", f"/{APP}/allocate-agent/webhook?secret={SECRET}", json={}).status_code == 502
        assert proxy.ask("GET", "/api/v1/public/sessions/a-key-of-somebody").status_code == 502
    finally:
        home.house.start_receiver()
        sidecar.start()
    assert SECRET not in proxy.logged() and "a-key-of-somebody" not in proxy.logged()


# --- Prometheus


class Watch:
    """Debian's Prometheus with our rules, at a test's pace: seconds instead of minutes."""

    def __init__(self, place: Path, home: ChatHouse) -> None:
        self.place, self.port = place, free_port()
        rules = re.sub(r"^( +for:) .*", r"\1 2s", ALERTS.read_text(), flags=re.M)
        (place / "alerts.yml").write_text(rules)
        text = (DEPLOY / "prometheus/prometheus.yml").read_text()
        env = home.house.env
        for was, now in (
            ("15s", "1s"),
            ('"127.0.0.1:8003", "127.0.0.1:8004"', f'"127.0.0.1:{env["WORKER_PORT"]}"'),
            ("127.0.0.1:8000", f"127.0.0.1:{env['PORT']}"),
            ("127.0.0.1:8001", f"127.0.0.1:{home.sidecar.port}"),
        ):
            assert was in text, was
            text = text.replace(was, now)
        (place / "prometheus.yml").write_text(text)

    @property
    def command(self) -> list[str]:
        files = [f"--config.file={self.place}/prometheus.yml", f"--storage.tsdb.path={self.place}/data"]
        return [str(PROMETHEUS), *files, f"--web.listen-address=127.0.0.1:{self.port}"]

    def ask(self, path: str, **query: str) -> Any:
        found = requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=query, timeout=10).json()
        assert found["status"] == "success", (query, found)
        return found["data"]

    def query(self, expr: str) -> list[Any]:
        return list(self.ask("query", query=expr)["result"])

    def up(self) -> bool:
        try:
            return len(self.query("up == 1")) == 3
        except requests.RequestException:
            return False

    def firing(self) -> set[str]:
        return {one["labels"]["alertname"] for one in self.ask("alerts")["alerts"] if one["state"] == "firing"}


@pytest.fixture
def watch(home: ChatHouse) -> Iterator[Watch]:
    with folder() as place:
        made = Watch(place, home)
        with running(made.command, place / "out.log"):
            eventually(made.up, 30, "Prometheus sees a receiver, a worker and a sidecar")
            yield made


@needs_prometheus
def test_the_boards_questions_have_answers_and_a_dead_worker_is_an_alert(watch: Watch, home: ChatHouse) -> None:
    posted = home.http.post(
        f"http://127.0.0.1:{home.house.env['PORT']}/{APP}/allocate-agent/webhook",
        json={"app_id": APP, "room_id": "700"},
        headers={"X-Webhook-Secret": SECRET},
        timeout=5,
    )
    assert posted.status_code == 200
    seen = eventually(lambda: watch.query(f'giliran_line_waiting{{tenant="{APP}"}} > 0'), 15, "the room that waits")
    assert seen[0]["metric"]["job"] == "giliran-worker"
    for expr in board_expressions():
        watch.query(expr)
    health = watch.ask("rules")["groups"]
    assert {
        rule["name"]: rule["health"] for group in health for rule in group["rules"] if rule["health"] == "err"
    } == {}
    assert len([rule for group in health for rule in group["rules"] if rule["type"] == "alerting"]) == len(alerts())
    eventually(lambda: "GiliranNoWorker" not in watch.firing(), 20, "silence, once the worker was seen")
    home.house.kill_worker(0)
    eventually(lambda: "GiliranNoWorker" in watch.firing(), 20, "the alert")
    home.house.start_worker(0)
    eventually(lambda: "GiliranNoWorker" not in watch.firing(), 30, "its end")

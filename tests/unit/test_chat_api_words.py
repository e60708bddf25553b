"""docs/api.md against the code: every request, event, refusal and close code, and no other."""

import asyncio
import re
from pathlib import Path

from db import chat, payloads
from sidecar.app import Sidecar
from sidecar.live import connection, frames
from sidecar.live.parts import Config
from sidecar.web import answers
from tests.variants import each

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
SPOKEN = re.compile(r'"((?:chat\.[a-z]+\.?[a-z]*|auth\.ok|ops\.(?:state|change)|pong|error))"')


def cells(begins: str) -> set[str]:
    """The first cells of all tables whose head begins so, without backquotes."""
    tables = re.findall(rf"^\| {re.escape(begins)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.M)
    assert tables, begins
    return {row.split("|")[1].strip(" `") for table in tables for row in table.splitlines()}


def part(title: str) -> str:
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def types_in(title: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z.]+)`", part(title), re.M))


def test_every_request_is_told_and_no_other(tmp_path: Path) -> None:
    async def routes() -> set[str]:
        nowhere = "postgresql://127.0.0.1:9/none", "redis://127.0.0.1:9/0"
        sidecar = Sidecar(Config(*nowhere, tmp_path, default_limit=2, retry_s=30.0))
        found = {f"{route.method} {re.sub(r':[^/]*}', '}', route.path)}" for route in sidecar.routes()}
        await sidecar.parts.writer.close()
        sidecar.agents.login.close()
        return {one for one in found if " /api/" in one}

    assert cells("request") == asyncio.run(routes())


def test_the_life_of_a_key_is_told_and_is_the_same_on_the_page() -> None:
    hours = round(chat.KEY_LIFE_S / 3600)
    assert f"for {hours} hours after its end" in PAGE
    page = (ROOT / "sidecar/pages/js/customer/talk.js").read_text()
    assert f"export const KEY_LIFE_MS = {hours} * 60 * 60_000;" in page


def test_every_frame_that_is_taken_is_told_and_no_other() -> None:
    assert types_in("What is sent") == set(frames._IN)


def test_every_event_is_told_and_no_other() -> None:
    folders = (ROOT / "sidecar", ROOT / "db", ROOT / "worker")
    code = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    spoken = {found for found in SPOKEN.findall(code) if not found.endswith((".", ".html"))}
    spoken |= {f"chat.session.{event}" for event in payloads.EVENTS}
    assert types_in("What is heard") == spoken - {"chat.message.send"}


def test_every_refusal_is_told_with_its_status() -> None:
    table = re.findall(r"^\| (\d{3}(?:, \d{3})*) \| (.*) \|$", PAGE, re.M)
    told = {}
    for statuses, names in table:
        codes = re.findall(r"`([a-z_]+)`", names)
        split = [int(status) for status in statuses.split(", ")]
        for at, code in enumerate(codes):
            told[code] = split[at] if len(split) > 1 else split[0]
    made = {code: status for code, status in answers.STATUS_OF.items() if code != "not_yours"}
    assert told == {**made, "invalid_request": 400, "method_not_allowed": 405}


CLOSES = (connection.AWAY, connection.POLICY, connection.TOO_BIG, connection.TRY_AGAIN)


@each("code", [*map(int, CLOSES), connection.WHO_ARE_YOU, connection.NO_SESSION])
def test_every_close_code_is_told(code: int) -> None:
    assert str(code) in cells("closed with")

"""`giliran routing try` against what then happens: random webhooks, random rules, a receiver and a worker that run."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from scripts.admin.__main__ import giliran
from scripts.storms import ruled_world
from scripts.storms.ruled_world import Sizes, Times
from testbed.house import House, street
from testbed.tenant import Tenant

Json = Any
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases) as made:
        yield made


MANY = pytest.param(2, 1000, marks=[pytest.mark.long, pytest.mark.timeout(900)])


@pytest.mark.parametrize(("seed", "count"), [(1, 50), MANY])
def test_what_is_tried_is_what_happens(home: House, tmp_path: Path, seed: int, count: int) -> None:
    """Nobody is online, so that all rooms wait. Only the bytes are shared by the two ways."""
    chance = random.Random(seed)
    shop = home.new_tenant("tried", agents=0, offline=6, divisions=", ".join(ruled_world.DIVISIONS))
    _apply(shop, tmp_path, seed)
    tried: dict[str, Json] = {}
    for number in range(count):
        room = f"tried-{seed}-{number}"
        body = _body(chance, room)
        answer = requests.post(f"{home.url}/{shop.id}/allocate-agent/webhook", data=body, headers=JSON, timeout=10)
        found = _try(shop, body, tmp_path)
        assert (answer.status_code == 200) == (found is not None), body
        if found is not None:
            tried[room] = found
    shop.until(lambda: len(shop.visits()) == len(tried), 60, "all rooms are in the ledger")
    shop.until(lambda: _known(shop) == tried, 20, "the ledger has what was tried")
    assert len({one[1] for one in tried.values()}) > 3, "they lead to several queues"


def _apply(shop: Tenant, folder: Path, seed: int) -> None:
    people = [(agent["id"], agent["email"]) for agent in shop.sim.agents()]
    path = folder / "rules.toml"
    path.write_text(ruled_world.file(seed, seed, Sizes(), people, Times(), last=False))
    done = shop.home.giliran("routing", "apply", str(path), "--yes", "--tenant", shop.id)
    assert done.returncode == 0, done.stdout + done.stderr


def _try(shop: Tenant, body: bytes, folder: Path) -> tuple[str | None, str, int] | None:
    """Rule, queue, priority; None where it is refused."""
    path = folder / "payload.json"
    path.write_bytes(body)
    words = ["routing", "try", str(path), "--tenant", shop.id, "--json"]
    done = CliRunner().invoke(giliran, words, env=shop.home.env)
    if done.exit_code != 0:
        return None
    found = json.loads(done.stdout)
    return found["rule"], found["queue"], found["priority"]


def _known(shop: Tenant) -> dict[str, tuple[str | None, str, int]]:
    where = "coalesce(queue, 'channel:' || channel) AS queue"
    sql = f"SELECT room, rule, {where}, base_priority FROM visits WHERE tenant = %s"  # noqa: S608 -- our own words
    return {row.room: (row.rule, row.queue, row.base_priority) for row in shop.home.rows(sql, shop.id)}


# --- webhooks


def _body(chance: random.Random, room: str) -> bytes:
    """One that may be as odd as it likes; now and then not even JSON."""
    payload = {
        "room_id": chance.choice((room,) * 40 + (None, "", "two words")),
        "source": chance.choice(("wa", "qiscus", "telegram", " WA ", "", None, 7, ["wa"], "x" * 300)),
        "channel": chance.choice(
            (
                {"id": 131313, "name": "Example WA"},
                {"id": "131314", "name": "Example Widget"},
                {"id": 131315, "name": " EXAMPLE  wa"},
                {"id": True},
                {"id": None, "name": 3},
                {"id": 1.5},
                {"name": "Example WA"},
                [],
                None,
            )
        ),
        "email": chance.choice(("customer13@example.com", "Customer1@EXAMPLE.com", "", None, 3, {"a": 1}, "*")),
        "name": chance.choice((*ruled_world.NAMES, "ADI  zq", None, 5, "", "Ünïcode \ud83d")),
        "extras": _extras(chance),
        "latest_service": chance.choice((None, {"id": 7, "is_resolved": True}, {}, [], "yes", False)),
    }
    left = {key: value for key, value in payload.items() if key == "room_id" or chance.random() < 0.9}
    body = json.dumps(left).encode()
    return chance.choice((body,) * 40 + (body[:-1], b"", b"[1]", body.decode().encode("utf-16")))


def _extras(chance: random.Random) -> Json:
    made = {
        "user_properties": chance.choice((_pairs, _object, _wild))(chance),
        "additional_extras": chance.choice((_object, _object, _wild))(chance),
        "notes": None,
    }
    text = json.dumps(made)
    return chance.choice((text,) * 12 + (made, made, json.dumps(text), text[:-2], "", None, 7, [made], "null"))


def _pairs(chance: random.Random) -> Json:
    found = [{"key": key, "value": value} for key, value in _object(chance).items()]
    strange = [None, 7, {"key": 7, "value": 1}, {"key": "city"}, {"value": "x"}, ["city", "zqUbud"]]
    mixed = found + chance.sample(found, len(found) // 2) + chance.sample(strange, chance.choice((0, 0, 2)))
    chance.shuffle(mixed)
    return chance.choice((mixed, mixed, json.dumps(mixed)))


def _object(chance: random.Random) -> Json:
    keys = chance.sample(ruled_world.KNOWN, chance.randint(0, 5))
    values = (*ruled_world.STRANGE, 1.5, 1e400, 10**30, -0.0, "zq\x00", "\ud83d", "４２")
    return {
        chance.choice((key, key.upper(), f" {key}")): (
            chance.choice(ruled_world.VALUES[key]) if chance.random() < 0.8 else chance.choice(values)
        )
        for key in keys
    }


def _wild(chance: random.Random) -> Json:
    deep: Json = "zqgold"
    for _ in range(chance.choice((1, 5, 300))):
        deep = chance.choice(([deep], {"tier": deep}))
    return chance.choice((deep, None, True, "city", "[", [[]], {"": ""}, 0))

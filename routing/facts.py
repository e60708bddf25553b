"""Pure: what an arrival says of its customer, as far as the rules of its tenant name it.

Comes after the webhook was checked, or a native chat was begun; before `route`. Payloads carry credentials and much
that nobody asked for: only what is named is kept, bounded and folded. Nothing raises; what can't be read is not known.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from routing.texts import KEY_MAX, KEYS_MAX, comparable

CHANNEL, EMAIL, NAME, RETURNING = "channel", "email", "name", "returning"
PROPERTY = "property."
NATIVE = "native"  # the source of our own chats
TOPIC = "topic"
LANGUAGES = ("en", "id")
DIGITS_MAX = 400  # of a whole number; longer ones are none that we compare


@dataclass(frozen=True, slots=True)
class Named:
    """What the rules ask about. Source, channel id and language are not asked for: they are always kept."""

    fields: frozenset[str] = frozenset()
    properties: frozenset[str] = frozenset()

    def as_list(self) -> list[str]:
        return sorted([*self.fields, *(PROPERTY + key for key in self.properties)])

    @classmethod
    def of_list(cls, names: Iterable[str]) -> "Named":
        known = [name for name in names if type(name) is str]
        properties = sorted({name.removeprefix(PROPERTY) for name in known if name.startswith(PROPERTY)})
        fields = {CHANNEL, EMAIL, NAME, RETURNING} & set(known)
        return cls(frozenset(fields), frozenset(properties[:KEYS_MAX]))


NOTHING = Named()


@dataclass(frozen=True, slots=True)
class Facts:
    """None: not known, or not named by any rule. `proved`: the properties were signed by the tenant's own server."""

    source: str | None = None
    channel_id: str | None = None
    channel_name: str | None = None
    email: str | None = None
    name: str | None = None
    returning: bool | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    proved: bool = False
    language: str | None = None


def of_webhook(payload: Any, named: Named = NOTHING) -> Facts:
    """Of a Custom Agent Allocation webhook: its bytes, or what a JSON reader made of them."""
    body = _object(_parsed(payload))
    channel = _object(body.get("channel"))
    return Facts(
        source=comparable(body.get("source")),
        channel_id=comparable(channel.get("id")),
        channel_name=comparable(channel.get("name")) if CHANNEL in named.fields else None,
        email=comparable(body.get("email")) if EMAIL in named.fields else None,
        name=comparable(body.get("name")) if NAME in named.fields else None,
        returning=_returning(body) if RETURNING in named.fields else None,
        properties=_extras(body.get("extras"), named) if named.properties else {},
    )


def of_chat(arrival: Mapping[str, Any], named: Named = NOTHING, proved: bool = False) -> Facts:
    """Of a chat of our own: `name`, `email`, `returning`, `language`, `topic` and `properties`, each as it was given.
    `proved` is the server's own finding, never the customer's word."""
    body = _object(arrival)
    language = body.get("language")
    return Facts(
        source=NATIVE,
        channel_id=NATIVE,
        channel_name=NATIVE if CHANNEL in named.fields else None,
        email=comparable(body.get("email")) if EMAIL in named.fields else None,
        name=comparable(body.get("name")) if NAME in named.fields else None,
        returning=_flag(body.get("returning")) if RETURNING in named.fields else None,
        properties=_chosen([body.get("properties"), {TOPIC: body.get(TOPIC)}], named),
        proved=proved,
        language=language if language in LANGUAGES else None,
    )


def as_data(facts: Facts) -> dict[str, Any]:
    """For JSON, to be kept as long as a room waits."""
    found = {name: getattr(facts, name) for name in Facts.__dataclass_fields__ if name != "properties"}
    known = {name: value for name, value in found.items() if value is not None}
    return {**known, "properties": dict(facts.properties)}


def of_data(data: Any) -> Facts:
    """What `as_data` gave; anything else is not known."""
    body = _object(data)
    texts = ("source", "channel_id", "channel_name", "email", "name")
    properties = _object(body.get("properties"))
    return Facts(
        **{name: comparable(body.get(name)) for name in texts},
        returning=_flag(body.get("returning")),
        properties=_chosen([properties], Named.of_list(PROPERTY + str(key) for key in properties)),
        proved=body.get("proved") is True,
        language=body.get("language") if body.get("language") in LANGUAGES else None,
    )


def _returning(body: Mapping[str, Any]) -> bool | None:
    """A customer who was served before has a latest service, a new one has null; older payloads say nothing."""
    if "latest_service" not in body:
        return None
    service = body["latest_service"]
    return bool(service) if service is None or type(service) is dict else None


def _flag(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _extras(extras: Any, named: Named) -> dict[str, str]:
    """Of properties that are given in both places, those of `user_properties` count."""
    body = _object(_parsed(extras))
    return _chosen([body.get("additional_extras"), body.get("user_properties")], named)


def _chosen(givers: Iterable[Any], named: Named) -> dict[str, str]:
    """Of a key that comes twice the last value counts, also where it can't be read: then the key is not known."""
    found: dict[str, str | None] = {}
    for giver in givers:
        for key, value in _pairs(giver):
            folded = comparable(key, KEY_MAX) if type(key) is str else None
            if folded in named.properties:
                found[folded] = comparable(value)
    return {key: value for key, value in found.items() if value is not None}


def _pairs(giver: Any) -> Iterator[tuple[Any, Any]]:
    """An object, or a list of {key, value}; either may be written as JSON in a text."""
    given = _parsed(giver)
    if type(given) is dict:
        yield from given.items()
    elif type(given) is list:
        yield from ((one["key"], one.get("value")) for one in given if type(one) is dict and "key" in one)


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _parsed(value: Any) -> Any:
    """JSON once read; what is not text stays as it is, what is not JSON is None."""
    if type(value) not in (str, bytes, bytearray):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return _parsed_slowly(value)


def _parsed_slowly(value: str | bytes | bytearray) -> Any:
    """Half a character, a broken byte or a huge number in one place must not cost all the others."""
    text = value if isinstance(value, str) else value.decode(json.detect_encoding(value), "replace")
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def _whole(digits: str) -> int | float:
    """Python refuses to read thousands of digits, and takes its time for hundreds."""
    return int(digits) if len(digits) <= DIGITS_MAX else math.inf

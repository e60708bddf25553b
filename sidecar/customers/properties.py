"""What is said of a customer at the start of a chat, beside name and address: properties, whose proof, a topic.

Before `sessions`, which starts the chat; the rules of the tenant go by it (docs/routing.md). Pure. Every function
raises `Refused`, which names the field and the key.
"""

import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from routing.model import Rules
from routing.texts import KEY_MAX, KEYS_MAX, VALUE_MAX, fold, is_storable
from sidecar.web.answers import Refused

TOPIC_MAX = 256
KEY_SHOWN = 80  # characters of a key in an answer


def properties_of(found: Mapping[str, Any]) -> dict[str, Any]:
    given = found.get("properties")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Refused("invalid_payload", "properties: must be an object")
    if len(given) > KEYS_MAX:
        raise Refused("invalid_payload", f"properties: has {len(given)} keys, at most {KEYS_MAX} are taken")
    for key, value in given.items():
        if trouble := _key_trouble(key) or _value_trouble(value):
            raise Refused("invalid_payload", f"properties.{key[:KEY_SHOWN]}: {trouble}")
    return given


def _key_trouble(key: str) -> str:
    if not 0 < len(key) <= KEY_MAX:
        return f"a key must have 1 to {KEY_MAX} characters"
    return "" if is_storable(key) else "a key must be text that can be stored"


def _value_trouble(value: Any) -> str:
    if isinstance(value, str):
        return f"must have at most {VALUE_MAX} characters" if len(value) > VALUE_MAX else ""
    return "" if isinstance(value, int | float) else "must be a string, a number, true or false"


def are_proved(email: str, properties: Mapping[str, Any], secret: str | None, given: object) -> bool:
    """Whether the site's own server vouches for them: HMAC-SHA256 of the address, a line feed and the properties in
    canonical JSON, with the tenant's secret."""
    if given is None or given == "" or secret is None:
        return False
    if not is_right(f"{email}\n{canonical(properties)}", secret, given):
        raise Refused("forbidden", "properties_hash: does not prove these properties of this customer")
    return True


def is_right(text: str, secret: str, given: object) -> bool:
    """Whether `given` is the HMAC-SHA256 of a text, in hexadecimal digits."""
    right = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return isinstance(given, str) and hmac.compare_digest(right.encode(), given.lower().encode(errors="replace"))


def canonical(properties: Mapping[str, Any]) -> str:
    """One JSON object: keys sorted, no spaces, no escapes but those that JSON needs, 7.0 as 7."""
    pairs = (f"{_text(key)}:{_canonical(properties[key])}" for key in sorted(properties))
    return f"{{{','.join(pairs)}}}"


def _canonical(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _text(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def topic_of(found: Mapping[str, Any], rules: Rules | None) -> Mapping[str, str] | None:
    """What the customer chose: its label in each language."""
    given = found.get("topic")
    if given is None or given == "":
        return None
    if not isinstance(given, str) or len(given) > TOPIC_MAX:
        raise Refused("invalid_payload", f"topic: must be a string of at most {TOPIC_MAX} characters")
    label = fold(given)
    chosen = [topic for topic in (rules.topics if rules else ()) if label in map(fold, topic.label.values())]
    if not chosen:
        raise Refused("invalid_payload", "topic: is none of this chat's topics")
    return chosen[0].label

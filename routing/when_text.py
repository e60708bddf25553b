"""Pure: `when` of a rule, as the file has it, into a `When`.

Comes between the checked file (file.py) and when.py, which judges an arrival by it.
"""

from collections.abc import Set
from typing import Any

from routing.facts import CHANNEL, EMAIL, NAME, RETURNING
from routing.faults import At, shown
from routing.reading import Read, Section, choice, flag, kind, one_or_more
from routing.texts import KEY_MAX, VALUE_MAX, comparable
from routing.when import CLOSED, OPEN, Pattern, When

SOURCE, PROPERTY, HOURS, PROVED = "source", "property", "hours", "proved"
KEYS = (SOURCE, CHANNEL, PROPERTY, EMAIL, NAME, RETURNING, HOURS, PROVED)
WRONG_SOURCES = {
    "whatsapp": "wa",
    "facebook": "fb",
    "messenger": "fb",
    "instagram": "ig",
    "widget": "qiscus",
    "chat": "native",
}


def read(section: Section) -> When:
    return When(
        source=_set(section.get(SOURCE, one_or_more(_source))),
        channel=_set(section.get(CHANNEL, one_or_more(_value))),
        properties=section.get(PROPERTY, _properties) or {},
        email=section.get(EMAIL, one_or_more(_pattern)),
        name=section.get(NAME, one_or_more(_pattern)),
        returning=_set(section.get(RETURNING, one_or_more(flag))),
        hours=_set(section.get(HOURS, one_or_more(choice(OPEN, CLOSED)))),
        proved=_set(section.get(PROVED, one_or_more(flag))),
    )


def _set(values: tuple[Any, ...] | None) -> Set[Any] | None:
    return None if values is None else frozenset(values)


def _value(value: Any, at: At) -> str | None:
    if type(value) not in (str, int, float, bool):
        return at.fault(f"must be a text, a number, true or false, is {kind(value)}")
    found = comparable(value)
    return found if found is not None else at.fault("nothing can be equal to it", f"write 1 to {VALUE_MAX} characters")


def _source(value: Any, at: At) -> str | None:
    found = _value(value, at)
    if found in WRONG_SOURCES:
        at.warn(f"'{shown(value)}' is not a source that Qiscus names", f"did you mean '{WRONG_SOURCES[found]}'?")
    return found


def _pattern(value: Any, at: At) -> Pattern | None:
    found = _value(value, at)
    return Pattern(found) if found is not None else None


def _properties(value: Any, at: At) -> dict[str, frozenset[str]] | None:
    if type(value) is not dict:
        return at.fault(f"must name a property, is {kind(value)}", 'write property.city = "Denpasar", say')
    if not value:
        return at.fault("names no property", 'write property.city = "Denpasar", say')
    found: dict[str, frozenset[str]] = {}
    for key, wanted in value.items():
        folded = comparable(key, KEY_MAX)
        if folded is None:
            (at / key).fault("is not the key of a property", f"write 1 to {KEY_MAX} characters")
        elif folded in found:
            (at / key).fault("comes twice", "upper and lower case make no difference: name it once, with a list")
        else:
            found[folded] = frozenset(_wanted(wanted, at / key))
    return found


def _wanted(value: Any, at: At) -> tuple[str, ...]:
    if type(value) is dict:
        return at.fault("must be a value or a list of them, is a table", "quote a key that has a dot in it") or ()
    read_values: Read[tuple[str, ...]] = one_or_more(_property_value)
    return read_values(value, at) or ()


def _property_value(value: Any, at: At) -> str | None:
    if type(value) is str and "*" in value:
        at.warn("a * stands for itself here", "only email and name know it as any text")
    return _value(value, at)

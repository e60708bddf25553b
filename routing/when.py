"""Pure: whether a rule's `when` fits what is known of an arrival, and whether one `when` covers another.

Values are folded (texts.py) on both sides. What is not known fits nothing.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from routing.facts import Facts

OPEN, CLOSED = "open", "closed"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text in which each * stands for any text, the empty one too."""

    text: str

    def fits(self, value: str) -> bool:
        """Linear in the value's length for each piece between two stars."""
        first, *others = self.text.split("*")
        if not others:
            return value == first
        *middle, last = others
        if not value.startswith(first) or len(value) < len(first) + len(last) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for piece in middle:
            found = value.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True


@dataclass(frozen=True, slots=True)
class When:
    """None: this is not asked for. All that is asked for must fit, each by one of its values."""

    source: Set[str] | None = None
    channel: Set[str] | None = None
    properties: Mapping[str, frozenset[str]] = field(default_factory=dict)
    email: tuple[Pattern, ...] | None = None
    name: tuple[Pattern, ...] | None = None
    returning: Set[bool] | None = None
    hours: Set[str] | None = None
    proved: Set[bool] | None = None

    def fits(self, facts: Facts, is_open: bool) -> bool:
        return (
            (self.source is None or facts.source in self.source)
            and (self.channel is None or facts.channel_id in self.channel or facts.channel_name in self.channel)
            and (self.hours is None or (OPEN if is_open else CLOSED) in self.hours)
            and (self.returning is None or facts.returning in self.returning)
            and (self.proved is None or facts.proved in self.proved)
            and (not self.properties or _fit_all(self.properties, facts.properties))
            and (self.email is None or _fits_one(self.email, facts.email))
            and (self.name is None or _fits_one(self.name, facts.name))
        )

    def covers(self, other: "When") -> bool:
        """Whether everything that fits the other fits this one. False may also mean that it can't be said."""
        plain = ("source", "channel", "hours", "returning", "proved")
        return (
            all(_covers(getattr(self, name), getattr(other, name)) for name in plain)
            and all(_covers(values, other.properties.get(key)) for key, values in self.properties.items())
            and _covers_patterns(self.email, other.email)
            and _covers_patterns(self.name, other.name)
        )


def _fit_all(wanted: Mapping[str, Set[str]], known: Mapping[str, str]) -> bool:
    for key, values in wanted.items():  # noqa: SIM110 -- `all` takes twice as long, for each rule and each room
        if known.get(key) not in values:
            return False
    return True


def _fits_one(patterns: tuple[Pattern, ...], value: str | None) -> bool:
    return value is not None and any(pattern.fits(value) for pattern in patterns)


def _covers(wide: Set[object] | None, narrow: Set[object] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _covers_patterns(wide: tuple[Pattern, ...] | None, narrow: tuple[Pattern, ...] | None) -> bool:
    """A piece between two stars holds no star, so what a pattern's own text fits, all that it stands for fits too."""
    if wide is None or narrow is None:
        return wide is None
    return all(any(each.fits(one.text) for each in wide) for one in narrow)

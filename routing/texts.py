"""Pure: how values are compared. Rules and facts pass through the same functions, so that they meet.

Upper and lower case, composed and decomposed accents and the number of spaces make no difference.
"""

import math
import unicodedata

KEY_MAX, VALUE_MAX = 64, 256  # characters of a property's key, and of any value
KEYS_MAX = 20  # properties that the rules of a tenant may name
RAW_MAX = 4 * VALUE_MAX  # a longer text is not looked at: it would be too long anyway, or nothing but spaces
INTEGER_MAX = 2**63  # greater ones reach us as floats, from a fast JSON reader


def fold(text: str) -> str:
    """The form that is compared: Unicode's caseless matching, single spaces. Folding twice changes nothing."""
    if text.isascii():
        return " ".join(text.lower().split())
    caseless = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    return " ".join(unicodedata.normalize("NFC", caseless).split())


def comparable(value: object, longest: int = VALUE_MAX) -> str | None:
    """A value as folded text; None where it is no text, number or boolean, is empty, too long or can't be stored."""
    text = _text(value)
    if text is None or len(text) > RAW_MAX:
        return None
    folded = fold(text)
    return folded if 0 < len(folded) <= longest and is_storable(folded) else None


def is_storable(text: str) -> bool:
    """PostgreSQL refuses NUL; half a character (a lone surrogate) has no UTF-8."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def _text(value: object) -> str | None:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value) if abs(value) < INTEGER_MAX else None
    return _float_text(value) if type(value) is float else None


def _float_text(value: float) -> str | None:
    """7.0 is 7; a float beyond 2**53 may be an integer that lost its last digits."""
    if not math.isfinite(value) or abs(value) >= 2**53:
        return None
    return str(int(value)) if value.is_integer() else str(value)

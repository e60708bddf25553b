"""A ticket opens one file for a while. It stands in a picture's address, where a session's key would open the whole
chat to whoever copies that address. Before `downloads`. Pure: the clock is handed in.
"""

import base64
import hmac
import math

LIFE_S = 3600  # at least; pages ask anew
SAME_S = 600  # for so long a file's ticket is the same, so that a browser that has the file knows its address again
MAC_BYTES = 16
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UNTIL_MOST = 8  # digits


class FileTickets:
    def __init__(self, secret_key: str) -> None:
        """Sidecars with the same key take one another's tickets."""
        self._key = secret_key.encode(errors="surrogateescape")

    def ticket(self, own: str, now: float) -> str:
        """For the file with this id."""
        until = (int(now) // SAME_S + 1) * SAME_S + LIFE_S
        return f"{base36(until)}.{self._mac(own, until)}"

    def left_s(self, ticket: str, own: str, now: float) -> int:
        """How long it opens the file; 0: it does not."""
        text, _, mac = ticket.partition(".")
        if not (text.isascii() and text.isalnum() and len(text) <= _UNTIL_MOST):
            return 0
        until = int(text, 36)
        is_right = hmac.compare_digest(mac.encode(errors="replace"), self._mac(own, until).encode())
        return max(0, math.ceil(until - now)) if is_right else 0

    def _mac(self, own: str, until: int) -> str:
        mac = hmac.digest(self._key, f"file\0{own}\0{until}".encode(), "sha256")[:MAC_BYTES]
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"

"""Pure: what Standard Webhooks wants of a request, and when a try that failed is repeated."""

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping

from db.hooks import SECRET_PREFIX

AGAIN_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0)  # after each try that failed; after the last one it is given up
JITTER = 0.2  # what failed together does not come back together


def headers(secret: str, event: str, at_s: int, body: str) -> Mapping[str, str]:
    """`event`: its id, by which a receiver knows it again; `at_s`: of this try, unix seconds."""
    return {
        "webhook-id": event,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{_mac(secret, f'{event}.{at_s}.{body}')}",
    }


def _mac(secret: str, signed: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()


def again_s(tries: int) -> float | None:
    """Seconds until the next try, once so many have failed; None: there is none."""
    if tries > len(AGAIN_S):
        return None
    return AGAIN_S[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)

"""Runs reads side by side, each in a thread, until one deadline for all of them.

Libraries have deadlines of their own, but name servers, addresses that swallow packets and many hosts in one URL have
none: a read that is late is left to itself, and its thread ends with the process.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Unread(NamedTuple):
    """Why there are no facts."""

    why: str


class CantRead(Exception):
    """A read that failed; its text is a sentence for a person."""


def at_once(reads: Mapping[str, Callable[[], Any]], within_s: float) -> dict[str, Any]:
    """Name → what was read, or `Unread`. Never raises what a read raises."""
    found: dict[str, Any] = {}
    threads = [threading.Thread(target=_into, args=(found, name, read), daemon=True) for name, read in reads.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    done = dict(found)
    return {name: done.get(name, Unread(f"no answer within {within_s:.0f} s")) for name in reads}


def _into(found: dict[str, Any], name: str, read: Callable[[], Any]) -> None:
    try:
        found[name] = read()
    except CantRead as error:
        found[name] = Unread(str(error))
    except Exception as error:  # one check that fails must not hide the others; its text may hold a secret
        found[name] = Unread(f"a defect of giliran ({type(error).__name__})")

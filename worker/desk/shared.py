"""Answers that many threads want at one moment: asked for once, and used again for as long as they are young.

`qiscus_teams.py` keeps the desk's lists in it: sixty queues may name the same division at once.
"""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Known(Generic[V]):
    value: V
    asked_at: float  # this process's monotonic clock: the answer is no older


@dataclass(frozen=True)
class _Question(Generic[V]):
    asked_at: float
    answer: Future[V]


class Shared(Generic[K, V]):
    """The age of an answer counts from its question, so that a slow one is not believed for longer. May be shared by
    all threads."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._asked: dict[K, _Question[V]] = {}

    def get(self, key: K, ask: Callable[[], V], ends_s: float, young_s: float | None = None) -> Known[V]:
        """An answer whose question was put `young_s` ago at most (else: as long as they are kept), or that of `ask`.

        All who come meanwhile wait for the same call, each until its own `ends_s`, then raise `TimeoutError`; and what
        the call raises they raise, too. Who comes after a failure asks anew.
        """
        question, is_ours = self._question(key, self._keep_s if young_s is None else young_s)
        if is_ours:
            _put(question.answer, ask)
        return Known(question.answer.result(max(0.0, ends_s - time.monotonic())), question.asked_at)

    def _question(self, key: K, young_s: float) -> tuple[_Question[V], bool]:
        now_s = time.monotonic()
        with self._lock:
            found = self._asked.get(key)
            if found and found.asked_at >= now_s - young_s and not _failed(found.answer):
                return found, False
            self._asked = {k: q for k, q in self._asked.items() if q.asked_at >= now_s - self._keep_s}
            made = self._asked[key] = _Question(now_s, Future())
        return made, True


def _failed(answer: Future[V]) -> bool:
    return answer.done() and answer.exception() is not None


def _put(answer: Future[V], ask: Callable[[], V]) -> None:
    """Whatever happens the others must not wait for ever."""
    try:
        answer.set_result(ask())
    except BaseException as error:
        answer.set_exception(error)
        if not isinstance(error, Exception):
            raise

"""Stores messages: whatever came since the last commit goes into one transaction, and is answered after its commit.

Before it: `connection` and the REST handlers, which make a `chat.Draft`. After it: `feed.tell`, which tells the sockets
here and the other sidecars. Writing the same draft again is harmless, so a batch of unknown outcome is written again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from psycopg2 import DataError, IntegrityError
from psycopg2.extensions import cursor

import logs
from db import chat, payloads
from db.announce import News
from db.chat import Draft, Message, NotTaken
from db.postgres import LedgerBusy, LedgerDown, LedgerTrouble, why
from sidecar.live.store import Store
from sidecar.live.tasks import Tasks

log = logging.getLogger("sidecar.writer")

TASK = "messages"
BATCH_MOST = 500
WAITING_MOST = 20_000  # drafts; beyond it nobody would wait for their answer
TRIES = 4
TRY_AGAIN_S = 0.25  # then twice as long, and so on: together under 2 s

LOCK_MS = 100  # how long a batch waits for one session's lock; then the others are stored without it
PARKED_S = 0.1  # between two tries of those
BUSY_S = 3.0  # how long they are tried

Tell = Callable[[str, Sequence[News]], None]
Heard = Callable[[str, str, str, int], None]
Answer = Message | NotTaken | LedgerTrouble
_Waiting = tuple[Draft, "asyncio.Future[Message | NotTaken]"]


class Writer:
    """One batch at a time, so that what one sender sends stays in order. Belongs to one event loop."""

    def __init__(self, store: Store, tell: Tell, tasks: Tasks | None = None) -> None:
        """`store`: one thread of its own, which no slow question holds up."""
        self.store, self._tell = store, tell
        self.heard: Heard = lambda tenant, room, body, seq: None  # of each new message of a customer
        self._waiting: list[_Waiting] = []
        self._parked: dict[int, list[_Waiting]] = {}  # of sessions that somebody has locked
        self._since: dict[int, float] = {}  # when the session of `_parked` was found locked
        self._try_at = 0.0
        self._came = asyncio.Event()
        self._closing = False
        self._taken: list[_Waiting] = []  # of the round that runs
        self._bug: Exception | None = None  # for which nothing was stored in it
        self._tasks = tasks or Tasks()
        self._task = self._tasks.start(TASK, self._step)

    async def write(self, draft: Draft) -> Message | NotTaken:
        """Stored and committed when this returns, and on its way to everybody in the room. Raises `LedgerTrouble`."""
        return await self.submit(draft)

    def submit(self, draft: Draft) -> "asyncio.Future[Message | NotTaken]":
        """The same for who goes on meanwhile: drafts are stored in the order of submitting."""
        future: asyncio.Future[Message | NotTaken] = asyncio.get_running_loop().create_future()
        if self._closing or len(self._waiting) >= WAITING_MOST:
            future.set_exception(LedgerDown("too many messages are waiting, or this process stops"))
            return future
        self._waiting.append((draft, future))
        self._came.set()
        return future

    async def close(self) -> None:
        """Store what is there, take nothing more."""
        self._closing = True
        self._came.set()
        await self._task

    async def _step(self) -> None:
        """One round. Whatever it raises, everybody in it is answered: who was not hears that they have to try again."""
        try:
            await self._round()
        except Exception:
            for _, future in self._taken:
                if not future.done():
                    future.set_exception(LedgerDown("not stored for sure"))
            self._parked, self._since = {}, {}
            raise

    async def _round(self) -> None:
        await self._until_something()
        batch, self._waiting = self._waiting[:BATCH_MOST], self._waiting[BATCH_MOST:]
        self._taken = [*batch, *(one for parked in self._parked.values() for one in parked)]
        self._bug = None
        if not self._waiting and not self._closing:
            self._came.clear()
        fresh = [one for one in batch if one[0].session not in self._parked]
        for one in batch:
            if one[0].session in self._parked:  # in their order: behind those that wait for the session
                self._parked[one[0].session].append(one)
        if fresh:
            self._answer(fresh, await self._stored([draft for draft, _ in fresh]))
        if self._parked:
            await self._try_parked()
        elif self._closing and not batch:
            self._tasks.finish(TASK)
        if self._bug:
            raise self._bug

    async def _until_something(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARKED_S if self._parked else None):
                await self._came.wait()
        if self._parked and self._closing:
            await asyncio.sleep(PARKED_S)

    async def _try_parked(self) -> None:
        """Messages of sessions that somebody has locked; whoever waits for too long is told so."""
        now = time.monotonic()
        if now < self._try_at:
            return
        self._try_at = now + PARKED_S
        parked, self._parked = self._parked, {}
        late = [one for session, batch in parked.items() if self._since[session] < now - BUSY_S for one in batch]
        again = [one for session, batch in parked.items() if self._since[session] >= now - BUSY_S for one in batch]
        self._answer(late, [LedgerBusy("the session is locked")] * len(late), final=True)
        since, self._since = self._since, {}
        if again:
            answers = await self._stored([draft for draft, _ in again], may_wait=False)
            self._answer(again, answers)
        self._since.update({session: since[session] for session in self._parked if session in since})

    async def _stored(self, drafts: list[Draft], may_wait: bool = True) -> list[Answer]:
        """`LedgerBusy` for those whose session is locked: the others are stored."""
        try:
            return list(await self._committed(drafts, may_wait))
        except LedgerTrouble as error:
            return [error] * len(drafts)
        except (DataError, IntegrityError, ValueError) as error:
            if len(drafts) == 1:
                return [_refused(drafts[0], error)]
        except Exception as error:  # no fault of the sender's, who is told to try again
            if len(drafts) == 1:
                self._bug = error
                return [LedgerDown("not stored")]
        answers = [answer for draft in drafts for answer in await self._stored([draft])]  # one of them is bad: singly
        if any(not isinstance(answer, LedgerDown) for answer in answers):
            self._bug = None
        return answers

    async def _committed(self, drafts: list[Draft], may_wait: bool) -> Sequence[Answer]:
        for again in range(TRIES):
            try:
                if may_wait:
                    return await self.store.run(lambda cur: chat.add_messages(cur, drafts), LOCK_MS)
                return await self.store.run(lambda cur: _add_free(cur, drafts), LOCK_MS)
            except LedgerBusy:
                if not may_wait:
                    raise
                may_wait = False
            except LedgerTrouble as error:
                if again == TRIES - 1:
                    log.warning(logs.line("messages_not_stored", number=len(drafts), why=error))
                    raise
                await asyncio.sleep(TRY_AGAIN_S * 2**again)
        raise AssertionError

    def _answer(self, batch: list[_Waiting], answers: Sequence[Answer], final: bool = False) -> None:
        """The rooms hear it first: a sender's acknowledgement has its place among what they hear. Who is busy is tried
        again, unless this is `final`."""
        fresh: dict[str, list[News]] = {}
        stored = [answer for answer in answers if isinstance(answer, Message) and answer.fresh]
        for message in sorted(stored, key=lambda message: message.seq):
            fresh.setdefault(message.tenant, []).append(payloads.news_of(message))
            if message.sender_type == "customer":
                self.heard(message.tenant, message.room, message.body, message.seq)
        for tenant, news in fresh.items():
            self._tell(tenant, news)
        for (one, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, LedgerBusy) and not final:
                self._since.setdefault(one.session, time.monotonic())
                self._parked.setdefault(one.session, []).append((one, future))
                continue
            if future.done():
                continue
            if isinstance(answer, LedgerTrouble):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _add_free(cur: cursor, drafts: list[Draft]) -> list[Answer]:
    """Without waiting for a session that somebody has locked."""
    busy = chat.locked_by_others(cur, {draft.session for draft in drafts})
    free = [draft for draft in drafts if draft.session not in busy]
    stored = iter(chat.add_messages(cur, free) if free else [])
    return [LedgerBusy("the session is locked") if draft.session in busy else next(stored) for draft in drafts]


def _refused(draft: Draft, error: Exception) -> NotTaken:
    what = why(error) if isinstance(error, DataError | IntegrityError) else type(error).__name__
    log.error(logs.line("message_refused", session=draft.session, sender=draft.sender_type, why=what))
    return NotTaken("invalid_payload")

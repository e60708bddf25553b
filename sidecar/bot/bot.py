"""Answers customers while they wait, from the tenant's FAQ and, where there is one, a model. After a customer's message
was committed; its own answers go through the same writer.

It takes no seat and nobody waits for it: `heard` returns at once, each room has one task, and their number is bounded.
It speaks only into sessions that wait, and falls silent for good when a person is asked for. What it must say at most
once has a fixed `client_id`, so that the database keeps it to once, across restarts and sidecars.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from psycopg2.extensions import cursor

import logs
from db import bot, chat, faq
from db.bot import Asking, Hears, Turn
from db.chat import Draft, Message, NotTaken
from db.faq import Entry
from db.postgres import LedgerTrouble
from sidecar.bot import answers
from sidecar.bot.ai import Model, ModelFailed, Said
from sidecar.live.store import Store
from sidecar.live.tasks import ended
from sidecar.web.pace import Paces

log = logging.getLogger("sidecar.bot")

T = TypeVar("T")
NAME = "Assistant"
ROOMS_MOST = 500  # answered at once; in others it stays silent: a late answer is worse than none
LOOKS_AT_ONCE = 2  # of the store's threads: the rest are for messages
TURNS = 8  # of the talk so far, for the model
TURN_MOST = 2000  # characters of one
CANDIDATES = 20  # entries found, for the choice of the best
ENTRIES = 8  # given to the model
CALLS_A_SECOND, CALLS_AT_ONCE = 0.1, 10.0  # of the model, in one room: each is paid for
SILENT_S = 10.0  # how long it is believed that a room or tenant needs no bot
SILENT_MOST = 10_000

Place = tuple[str, str]  # tenant, room
Write = Callable[[Draft], Awaitable[Message | NotTaken]]


class Look(NamedTuple):
    """What is known when a question came: `asked` are its words, `seq` its last row."""

    session: int
    language: str | None  # of the page
    seq: int
    question: str
    asked: list[str]
    entries: list[Entry]
    sure: Entry | None
    talk: list[Said]


class Bot:
    """Belongs to one event loop. `model` None: the FAQ alone."""

    def __init__(self, store: Store, write: Write, model: Model | None = None) -> None:
        self._store = store
        self._write = write
        self._model = model
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._calls = Paces(CALLS_A_SECOND, CALLS_AT_ONCE)  # of a room
        self._more: dict[Place, bool] = {}  # rooms with a task → whether something came meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent: dict[Place | str, float] = {}  # until when, monotonic

    def heard(self, tenant: str, room: str, body: str, seq: int = 0) -> None:
        """A customer's message was committed; of a file without a caption the body is empty. `seq` 0: the latest of the
        room. Never raises: the writer calls it."""
        place = (tenant, room)
        if not body or self._is_silent(tenant):
            return
        if len(self._tasks) >= ROOMS_MOST:
            log.debug(logs.line("bot_busy", tenant=tenant, room=room))
        elif answers.wants_person(body):
            self._start(self._hand_over(place, body))
        elif place in self._more:
            self._more[place] = True
        elif not self._is_silent(place):
            self._more[place] = False
            self._start(self._serve(place, seq))

    def is_busy(self) -> bool:
        return bool(self._tasks)

    async def close(self) -> None:
        await ended(*self._tasks)
        if self._model:
            await self._model.close()

    # --- one room

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """No answer is no harm: the customer waits for a person anyway."""
        try:
            await work
        except LedgerTrouble as error:
            log.warning(logs.line("bot_failed", why=error))
        except Exception:
            log.exception(logs.line("bot_failed"))

    async def _serve(self, place: Place, seq: int) -> None:
        """Answers until nothing came meanwhile."""
        try:
            after = await self._reply(place, seq - 1 if seq else None)
            while after is not None and self._more[place]:
                self._more[place] = False
                after = await self._reply(place, after)
        finally:
            del self._more[place]

    async def _reply(self, place: Place, after: int | None) -> int | None:
        """One answer to what was asked after a seq (None: to the last message). Gives the last seq that was looked at;
        None where the bot has no business any more."""
        speaks, look = await self._run(lambda cur: self._look(cur, place, after))
        if look is None:
            self._be_silent(place if speaks else place[0])
            return None
        if not look.question:
            return look.seq
        body = await self._answer(place, look)
        once = f"re:{look.seq}"
        if body is None and look.asked:
            body, once = answers.UNSURE[answers.language(look.question, look.language)], "unsure"
        if body is None or not await self._run(lambda cur: _may_answer(cur, place)):
            return look.seq
        await self._say(place, look.session, body, once)
        return look.seq

    def _look(self, cur: cursor, place: Place, after: int | None) -> tuple[bool, Look | None]:
        """Everything that an answer needs, in one short transaction; and whether the tenant has a bot at all."""
        seen = bot.hears(cur, *place)
        speaks = self._speaks(seen)
        if seen is None or not speaks or not seen.may_answer:
            return speaks, None
        turns = bot.talk(cur, seen.session, TURNS)
        latest = max((turn.seq for turn in turns if turn.by_customer), default=0)
        question = _question(turns, latest - 1 if after is None else after)
        asked = answers.words(question)
        entries = faq.search(cur, place[0], answers.widened(asked), CANDIDATES)
        if self._model and not entries:
            entries = faq.first(cur, place[0], ENTRIES)  # perhaps asked in another language than the entries'
        talk = [Said(turn.by_customer, turn.body[:TURN_MOST]) for turn in turns]
        sure = answers.best(asked, entries)  # here, on the store's thread: long entries take their time
        return True, Look(seen.session, seen.language, latest, question, asked, entries, sure, talk)

    def _speaks(self, seen: Hears | None) -> bool:
        return self._model is not None or (seen is not None and seen.has_faq)

    async def _answer(self, place: Place, look: Look) -> str | None:
        """The model's, else the entry that surely fits; None: not known."""
        if self._model and not self._calls.take(f"{place[0]} {place[1]}", time.monotonic()):
            try:
                return await self._model.answer(look.entries[:ENTRIES], look.talk)
            except ModelFailed as error:
                log.warning(logs.line("model_failed", tenant=place[0], room=place[1], why=error))
        return look.sure.answer[: answers.BODY_MOST] if look.sure else None

    async def _hand_over(self, place: Place, body: str) -> None:
        """Not after the answer that may be under way, but at once."""
        speaks, asking = await self._run(lambda cur: self._quieten(cur, place))
        if not speaks:
            self._be_silent(place[0])
        elif asking is not None:
            said = answers.QUIET[answers.language(body, asking.language)]
            await self._say(place, asking.session, said, chat.BOT_GOODBYE)

    def _quieten(self, cur: cursor, place: Place) -> tuple[bool, Asking | None]:
        return self._speaks(bot.hears(cur, *place)), bot.want_person(cur, *place)

    async def _say(self, place: Place, session: int, body: str, once: str) -> None:
        told = await self._write(chat.draft(session, "bot", body, sender_name=NAME, client_id=once))
        said = told.code if isinstance(told, NotTaken) else once
        log.info(logs.line("bot_answered", tenant=place[0], room=place[1], what=said))

    async def _run(self, work: Callable[[cursor], T]) -> T:
        async with self._looks:
            return await self._store.run(work)

    # --- where it has nothing to do

    def _be_silent(self, where: Place | str) -> None:
        if len(self._silent) >= SILENT_MOST:
            self._silent.clear()
        self._silent[where] = time.monotonic() + SILENT_S

    def _is_silent(self, where: Place | str) -> bool:
        return self._silent.get(where, 0.0) > time.monotonic()


def _may_answer(cur: cursor, place: Place) -> bool:
    seen = bot.hears(cur, *place)
    return seen is not None and seen.may_answer


def _question(turns: list[Turn], after: int) -> str:
    return "\n".join(turn.body for turn in turns if turn.by_customer and turn.seq > after)

"""Whatever meets a stranger's text takes time that grows as its length does, for the longest message and beyond."""

import logging
from contextlib import suppress

import logs
from db import people, transcript
from db.faq import Entry
from sidecar.bot import answers
from sidecar.files import kinds
from sidecar.web import fields
from tests.hostile import SHAPES, steeper_than_linear
from tests.variants import each


def as_logged(text: str) -> str:
    record = logging.LogRecord("sidecar", logging.INFO, "", 0, f"y{text}\nx", (), None)
    return logs._Line("%(message)s").format(record)


def as_transcript(text: str) -> str:
    customer = {"name": text, "email": text}
    message = {"sender_type": "customer", "sender_name": text, "body": text, "attachments": []}
    head = {"session_id": "s", "customer": customer, "created_at": "", "ended_at": "", "rating": None, "complete": True}
    return transcript.as_text({**head, "messages": [{**message, "created_at": ""}]})


def as_file(text: str) -> kinds.Kind:
    return kinds.kind_of(text.encode()[: kinds.HEAD], text)


MEET = {
    "fields.body": fields.body,
    "answers.wants_person": answers.wants_person,
    "answers.language": answers.language,
    "answers.best": lambda text: answers.best(answers.words(text), [Entry(text, text)]),
    "kinds.clean_name": lambda text: kinds.clean_name(text, "image/png"),
    "kinds.kind_of": as_file,
    "people.shown_name": people.shown_name,
    "people.is_email": people.is_email,
    "logs.clean": logs.clean,
    "a line of the log": as_logged,
    "a transcript": as_transcript,
}


@each("name", MEET)
def test_what_meets_a_strangers_text_is_linear_in_its_length(name: str) -> None:
    def meet(text: str) -> None:
        with suppress(ValueError, kinds.NotAllowed):
            MEET[name](text)

    found = {shape: steeper_than_linear(meet, made) for shape, made in SHAPES.items()}
    assert {shape: why for shape, why in found.items() if why} == {}


@each("text", ["talk to talk with talk to no", "to a person I talk", "with an agent, chat", "hubungi siapa bicara apa"])
def test_words_in_another_order_ask_for_no_person(text: str) -> None:
    assert not answers.wants_person(text)

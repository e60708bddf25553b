"""Frames: what is taken from a socket, what is refused and how, and the bytes that go out."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.live import frames
from sidecar.live.frames import BadFrame, Frame
from sidecar.web import fields
from sidecar.web.fields import BODY_MOST
from tests.variants import each


def text_of(kind: str, **payload: Any) -> str:
    return json.dumps({"type": kind, "payload": payload})


@each(
    ("text", "frame"),
    [
        (text_of("chat.typing", is_typing=True), Frame("chat.typing", {"session_id": None, "is_typing": True})),
        (
            text_of("chat.message.send", client_id="c-1", body=" hi\n", extra=1),
            Frame("chat.message.send", {"session_id": None, "client_id": "c-1", "body": " hi\n"}),
        ),
        (
            text_of("chat.message.read", session_id="s1", up_to_seq=0),
            Frame("chat.message.read", {"session_id": "s1", "up_to_seq": 0}),
        ),
        ('{"type":"ping"}', Frame("ping", {})),
    ],
)
def test_a_good_frame_is_read(text: str, frame: Frame) -> None:
    assert frames.read(text) == frame


@each(
    ("text", "code", "field"),
    [
        ("", "invalid_json", ""),
        ("{}{}", "invalid_json", ""),
        ('{"type":"ping"}\n{"type":"ping"}', "invalid_json", ""),
        ("[]", "invalid_payload", ""),
        ('{"type":7}', "invalid_payload", ""),
        ('{"type":"ping","payload":[]}', "invalid_payload", "payload"),
        (text_of("chat.session.ended"), "unknown_type", ""),
        (text_of("chat.message.send", client_id="c"), "invalid_payload", "body"),
        (text_of("chat.message.send", client_id="c", body="  "), "invalid_payload", "body"),
        (text_of("chat.message.send", client_id="c", body="x" * (BODY_MOST + 1)), "invalid_payload", "body"),
        (text_of("chat.message.send", client_id="a b", body="x"), "invalid_payload", "client_id"),
        (text_of("chat.message.send", client_id="c" * 65, body="x"), "invalid_payload", "client_id"),
        (text_of("chat.message.send", client_id=1, body="x"), "invalid_payload", "client_id"),
        (text_of("chat.message.send", client_id="c", body="x", session_id="s'1"), "invalid_payload", "session_id"),
        (text_of("chat.typing", is_typing="yes"), "invalid_payload", "is_typing"),
        (text_of("chat.message.read", up_to_seq=-1), "invalid_payload", "up_to_seq"),
        (text_of("chat.message.read", up_to_seq=True), "invalid_payload", "up_to_seq"),
        (text_of("chat.message.read", up_to_seq=2**60), "invalid_payload", "up_to_seq"),
        (text_of("auth", token=""), "invalid_payload", "token"),
    ],
)
def test_a_bad_frame_is_refused_and_what_is_wrong_is_named(text: str, code: str, field: str) -> None:
    with pytest.raises(BadFrame) as refused:
        frames.read(text)
    assert refused.value.code == code
    assert str(refused.value).startswith(f"{field}:") or not field


def test_an_error_names_the_message_that_it_is_about() -> None:
    with pytest.raises(BadFrame) as refused:
        frames.read(text_of("chat.message.send", client_id="c1", body=""))
    assert refused.value.client_id == "c1"


@each("text", ["a\0b", "a\ud800b"])
def test_what_no_database_can_hold_is_replaced(text: str) -> None:
    assert fields.body(text) == "a\ufffdb"


@given(st.text())
def test_no_text_makes_a_reader_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(BadFrame):
        frames.read(text)


@each(("size", "head"), [(125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_bytes_out_are_a_final_unmasked_text_frame(size: int, head: int) -> None:
    made = frames.framed(b"x" * size)
    assert (made[0], len(made)) == (0x81, size + head)
    length = made[1] if head == 2 else int.from_bytes(made[2:head], "big")
    assert length == size and not made[1] & 0x80


def test_html_goes_out_as_the_text_that_it_is() -> None:
    made = frames.frame("chat.message.new", {"body": "<script>alert(1)</script>"})
    assert b"<script>alert(1)</script>" in made

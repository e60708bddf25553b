"""Texts that strangers make to keep others busy, and how the time of whatever meets them grows with their length."""

import time
from collections.abc import Callable, Mapping

LENGTHS = (600, 5000, 40_000)  # characters, each eight times as many; a message has 10,000 at most
STEP = 3  # times as long as what is linear takes: a machine that others use is never even
NOISE_S = 0.005
TRIES = 3
LINK = "https://toko.example/"


def repeated(piece: str) -> Callable[[int], str]:
    return lambda length: (piece * (length // len(piece) + 1))[:length]


def halves(begin: str, first: str, between: str, second: str) -> Callable[[int], str]:
    """A beginning, then so much of one thing as of another."""
    return lambda length: begin + repeated(first)(length // 2) + between + repeated(second)(length // 2)


SHAPES: Mapping[str, Callable[[int], str]] = {
    "dots": repeated("."),
    "dots before a letter": lambda length: LINK + "." * length + "x",
    "a link in dots and brackets": halves(LINK, ".", "x", ")"),
    "a link in brackets": halves(LINK, "(", "", ")"),
    "closing brackets and dots": lambda length: LINK + repeated(").")(length),
    "square brackets": repeated("[("),
    "https": repeated("https://"),
    "many links": repeated("https://a.example/b "),
    "one long link": lambda length: LINK + repeated("a/")(length),
    "at": repeated("@"),
    "addresses": repeated("a@b."),
    "half an address": repeated("a.b-"),
    "www": repeated("www.a"),
    "names_with_lines": repeated("a_"),
    "slashes": repeated("~/"),
    "comments": repeated("<!--"),
    "tags": repeated("<a "),
    "entities": repeated("&amp"),
    "hyphens": repeated("a-1"),
    "quotes": repeated("\"'"),
    "combining marks": repeated("\u0301\u0323"),
    "zero width joiners": repeated("\u200d"),
    "right to left": repeated("\u200f\u202e\u05d0"),
    "isolates": repeated("\u2066"),
    "emoji in one": repeated("👩\u200d"),
    "flags": repeated("🇮🇩"),
    "keycaps": repeated("1\ufe0f\u20e3"),
    "blanks": lambda length: "x" + " " * length + "x",
    "lines": repeated(" \r\n "),
    "marks of the search": repeated("\u0002"),
    "asks for a person": repeated("talk to talk with "),
    "almost a person": repeated("the "),
    "one word": repeated("x"),
    "backslashes": repeated("\\"),
}


def steeper_than_linear(
    work: Callable[[str], object], shape: Callable[[int], str], clock: Callable[[], float] = time.thread_time
) -> str:
    """Where eight times the text takes much more than eight times the time; empty where it never does. Of so slow a
    thing longer texts are not tried. The clock is this thread's own, whoever else is busy, or the one that is given."""
    before = None

    def took_s(text: str) -> float:
        began = clock()
        work(text)
        return clock() - began

    for length in LENGTHS:
        took = took_s(shape(length))
        if before is not None and took > _linear_s(*before, length):
            took = min(took, *(took_s(shape(length)) for _ in range(TRIES)))
            again = min(took_s(shape(before[0])) for _ in range(TRIES))
            if took > _linear_s(before[0], again, length):
                return f"{before[0]} characters {again:.4f} s, {length} characters {took:.4f} s"
        before = (length, took)
    return ""


def _linear_s(length: int, took_s: float, longer: int) -> float:
    return NOISE_S + STEP * took_s * longer / length

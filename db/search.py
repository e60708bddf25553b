"""What an agent looks for among messages and names of files: the words that are asked, and where they stand. Pure.
Beside `console`, which has the SQL; `words_of` in PostgreSQL parts what is written in one in the same way.
"""

import re
from typing import NamedTuple

SNIPPET_MOST = 200  # characters around the first word that was found
BEFORE_MOST = 60  # of them before it
OPENS, CLOSES = "\x02", "\x03"  # around what was found: nothing in HTML, and none of them comes from a message
_PARTS = str.maketrans(dict.fromkeys("._-/@:&<+~", " "))
_BETWEEN = re.compile(r"(?<=[0-9])(?=[^0-9\s])|(?<=[^0-9\s])(?=[0-9])")
_TERM = re.compile(r'(-?)(?:"([^"]*)(?:"|$)|([^\s"]+))')
_WORD = re.compile(r"[^\W\d_]+|\d+")
_OWN = str.maketrans("", "", OPENS + CLOSES)


class Asked(NamedTuple):
    """`query` is for `websearch_to_tsquery`. `words`: those that are wanted; `is_open`: the last may be unfinished."""

    query: str
    words: frozenset[str]
    last: str
    is_open: bool


def asked(q: str) -> Asked:
    """Words, "phrases", or, -not, as in a web search. What is written in one is a phrase of its parts."""
    terms: list[str] = []
    wanted: list[str] = []
    for sign, phrase, word in _TERM.findall(q):
        parts = _BETWEEN.sub(" ", (phrase or word).translate(_PARTS)).split()
        if not parts:
            continue
        terms.append(sign + (f'"{" ".join(parts)}"' if phrase or len(parts) > 1 else parts[0]))
        if not sign and word.lower() != "or":
            wanted += [each.casefold() for each in _WORD.findall(" ".join(parts))]
    return Asked(" ".join(terms), frozenset(wanted), wanted[-1] if wanted else "", not q.rstrip().endswith('"'))


def snippet(body: str, wanted: Asked) -> str:
    """The part of a message where the first of the words stands, each of them between `OPENS` and `CLOSES`."""
    text = body.translate(_OWN)
    found = [(each.start(), each.end()) for each in _WORD.finditer(text) if _is_met(each[0].casefold(), wanted)]
    begin = _begin(text, found[0][0]) if found else 0
    end = min(len(text), begin + SNIPPET_MOST)
    pieces, at = [], begin
    for start, stop in found:
        if stop > end:
            break
        pieces += [text[at:start], OPENS, text[start:stop], CLOSES]
        at = stop
    return "".join([*pieces, text[at:end]]).strip(" \n")


def _begin(text: str, at: int) -> int:
    """A little before it, where a word begins."""
    if at <= BEFORE_MOST:
        return 0
    return next((place + 1 for place in range(at - BEFORE_MOST, at) if text[place].isspace()), at - BEFORE_MOST)


def _is_met(word: str, wanted: Asked) -> bool:
    return word in wanted.words or (wanted.is_open and bool(wanted.last) and word.startswith(wanted.last))

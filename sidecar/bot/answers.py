"""What the bot says to a waiting customer. Pure: a message and the FAQ entries found → an answer, or none.

The model (`sidecar/bot/ai.py`) may word it better; this is what is left when there is no model, or it is slow.
"""

import re
from collections.abc import Iterable, Sequence

from db.chat import WANTS_PERSON
from db.faq import PREFIX_FROM, Entry

BODY_MOST = 4000  # characters of one answer
WORDS_MOST = 40  # of one message: a pasted page is no question
WORD_MOST = 40  # letters: what is longer is no word, and PostgreSQL refuses it from 2047 bytes on
SURE_FROM = 0.6  # share of words met, see `score`
OF_AN_ANSWER = 0.6  # what a word met only in the answer counts

UNSURE = {
    "en": "I couldn't find an answer to that, so I'm passing you on to our team. You keep your place in line.",
    "id": "Saya tidak menemukan jawabannya, jadi saya teruskan ke tim kami. Giliran Anda tetap.",
}
QUIET = {
    "en": "All right, I'll leave you to our team. You keep your place in line.",
    "id": "Baik, saya serahkan kepada tim kami. Giliran Anda tetap.",
}


def _cut(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold().replace("'", ""))


# Words that say nothing of the matter. A message of these alone (a greeting, a thank-you) gets no answer.
ENGLISH = frozenset(
    _cut("""
        a about am an and any are as at be been but by can could did do does for from get got had has have he
        hello her hey hi him his how i if in into is it its just know like me my need no not of off ok okay on
        one or our out please she should so some tell than thank thanks that the their them then there these
        they this to too up us use used using want was we were what when where which who whom whose why will
        with would yes you your
    """)
)
INDONESIAN = frozenset(
    _cut("""
        ada adalah agar akan aku anda apa apakah apabila atau bagaimana bagi bahwa baik banget belum berapa bisa
        boleh bu buat cara dan dapat dari dengan di dong gan gimana halo hai harus hi ini itu iya jadi jika juga
        ka kak kalau kalo kami kamu kan kapan karena kasih ke kenapa kepada kita kok lagi lah maaf mana mas mau
        mba mbak mengapa mereka min minta mohon nih nya oleh pada pak pakai para permisi saja sampai sangat saya
        sebagai secara sedang selamat seperti siapa siang sih sini sore sudah tanya tapi tentang terima tetapi
        tidak tolong untuk ya yang yg
    """)
)
# What customers and those who write an FAQ call differently; a line is one thing, in one language.
SAME: dict[str, tuple[str, ...]] = {
    word: tuple(line.split())
    for line in (
        "change reset update edit modify replace recover restore forgot forgotten",
        "cancel abort stop undo cancellation",
        "pay payment paying paid",
        "send ship deliver delivery shipping shipment",
        "return refund",
        "price cost fee charge",
        "order purchase buy",
        "ubah mengubah ganti mengganti perbarui pulihkan lupa atur",
        "batal batalkan membatalkan pembatalan",
        "bayar membayar pembayaran dibayar",
        "kirim mengirim pengiriman dikirim antar",
        "retur refund pengembalian kembalikan mengembalikan dikembalikan",
        "harga biaya ongkos tarif",
        "pesan pesanan memesan beli membeli pembelian",
        "sandi password",
    )
    for word in line.split()
}
ONLY_ENGLISH = ENGLISH - INDONESIAN
ONLY_INDONESIAN = INDONESIAN - ENGLISH

_PERSON = (
    "person|human|agents?|people|someone|somebody|representative|operator|staff|admin|cs|customer (?:service|care)"
)
_ORANG = "orang|manusia|agen|admin|cs|petugas|operator|staf|customer service"
# Said in this order, with anything between. The first of each is as good as any other, so each is looked for once.
_IN_ORDER = tuple(
    tuple(re.compile(rf"\b(?:{said})\b") for said in steps)
    for steps in (
        ("talk|speak|chat|connect|transfer|put", "to|with", _PERSON),
        (
            "(?:ber)?bicara|ngobrol|ngomong|chat|bertemu|(?:di)?hubung(?:kan|i)|(?:di)?sambungkan",
            _ORANG,
        ),
    )
)
_AT_ONCE = re.compile(
    rf"\b(?:real|live|actual) (?:{_PERSON})\b"
    rf"|^\W*(?:(?:an?|the|i want|i need|give me|mau|minta) )*(?:{_PERSON}|{_ORANG})(?: (?:please|now|dong|ya))?\W*$"
)
ASKED_IN_MOST = 300  # characters: whoever writes more asks for something else, too


def wants_person(body: str) -> bool:
    """The button's text, or such words in English or Indonesian. Rather once too often: it only quiets the bot."""
    text = body.strip().casefold()
    if text == WANTS_PERSON or len(text) > ASKED_IN_MOST:
        return text == WANTS_PERSON
    return _AT_ONCE.search(text) is not None or any(_said_in_order(text, steps) for steps in _IN_ORDER)


def _said_in_order(text: str, steps: Sequence[re.Pattern[str]]) -> bool:
    at = 0
    for step in steps:
        found = step.search(text, at)
        if found is None:
            return False
        at = found.end()
    return True


LANGUAGES = tuple(UNSURE)


def language(body: str, page: str | None = None) -> str:
    """`id` where it reads like Indonesian, `en` where like English; in doubt that of the page, or English."""
    said = _cut(body)
    indonesian = sum(word in ONLY_INDONESIAN or word.endswith(("nya", "kah", "kan")) for word in said)
    english = sum(word in ONLY_ENGLISH for word in said)
    if indonesian == english:
        return page or "en"
    return "id" if indonesian > english else "en"


def words(text: str) -> list[str]:
    """The words that carry the matter, each once, in order."""
    telling = (_stem(word) for word in _cut(text) if word not in ENGLISH and word not in INDONESIAN)
    return list(dict.fromkeys(word for word in telling if len(word) <= WORD_MOST))[:WORDS_MOST]


def best(asked: Sequence[str], entries: Iterable[Entry]) -> Entry | None:
    """The entry that surely is about the words asked; None where none is."""
    if not asked:
        return None
    first = max(entries, key=lambda entry: score(asked, entry), default=None)
    return first if first and score(asked, first) >= SURE_FROM else None


def score(asked: Sequence[str], entry: Entry) -> float:
    """How much of what was asked the entry speaks of, or how much of its question was asked: 0 to about 1.6."""
    question, answer = words(entry.question), words(entry.answer)
    met = [word for word in asked if _meets(word, question)]
    covered = sum(_meets(word, asked) for word in question) / len(question) if question else 0.0
    only_answered = sum(word not in met and _meets(word, answer) for word in asked)
    return max(len(met) / len(asked), covered) + OF_AN_ANSWER * only_answered / len(asked)


def _stem(word: str) -> str:
    """Endings that often differ between question and entry; too simple for a dictionary, enough for a beginning."""
    for ending in ("nya", "kah", "lah"):
        if word.endswith(ending) and len(word) - len(ending) >= PREFIX_FROM:
            return word[: -len(ending)]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > PREFIX_FROM else word


def widened(asked: Sequence[str]) -> list[str]:
    """With the other words for the same things: what to look for, not what was asked."""
    return list(dict.fromkeys([*asked, *(other for word in asked for other in SAME.get(word, ()))]))


def _meets(word: str, others: Iterable[str]) -> bool:
    same = SAME.get(word, ())
    return any(word == other or other in same or _begins(word, other) or _begins(other, word) for other in others)


def _begins(short: str, long: str) -> bool:
    return len(short) >= PREFIX_FROM and long.startswith(short)

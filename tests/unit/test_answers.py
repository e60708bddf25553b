"""What the bot says without a model: which entry it is sure of, which words ask for a person, which language."""

from hypothesis import given
from hypothesis import strategies as st

from db.faq import Entry
from sidecar.bot import answers
from tests.variants import each

HOURS = Entry("What are your opening hours?", "Monday to Friday, 9:00 to 17:00.")
REFUND = Entry("How do I get a refund?", "Write to refund@toko.example with your order number.")
CHANGE = Entry("How can I change my order?", "Until it is packed: open it and choose Change.")
PAY = Entry("How can I pay?", "By bank transfer, GoPay or OVO.")
JAM = Entry("Jam berapa toko buka?", "Senin sampai Jumat, 09.00 sampai 17.00.")
PASSWORD = Entry("How do I change my password?", "In your profile, under Safety.")
SANDI = Entry("Bagaimana mengganti kata sandi?", "Di profil, di bawah Keamanan.")
FAQ = [PASSWORD, SANDI, HOURS, REFUND, CHANGE, PAY, JAM]


@each(
    ("body", "entry"),
    [
        ("when are you open", HOURS),
        ("Opening hours?", HOURS),
        ("hello, I bought shoes last week, they don't fit. I want a refund", REFUND),
        ("REFUNDS", REFUND),
        ("can I use gopay?", PAY),
        ("jam bukanya berapa kak?", JAM),
        ("How do I reset my password?", PASSWORD),
        ("forgot password", PASSWORD),
        ("lupa sandi kak", SANDI),
        ("how can I cancel my order?", None),
        ("My order 123 never arrived and I am angry", None),
        ("do you sell elephants?", None),
        ("hello", None),
        ("terima kasih kak", None),
        ("", None),
        ("\U0001f600 ???", None),
    ],
)
def test_it_answers_what_it_is_sure_of(body: str, entry: Entry | None) -> None:
    assert answers.best(answers.words(body), FAQ) == entry


def test_without_entries_there_is_no_answer() -> None:
    assert answers.best(["refund"], []) is None


@each(
    "body",
    [
        "/person",
        " /PERSON ",
        "I want to talk to a person",
        "can I speak with a human please?",
        "Please connect me to an agent",
        "agent",
        "human please!",
        "real person",
        "bicara dengan orang",
        "Saya mau bicara dengan agen",
        "bisa berbicara sama manusia?",
        "tolong hubungkan ke CS",
        "Mau ngobrol dengan admin dong",
        "minta agen",
    ],
)
def test_a_person_is_asked_for_in_both_languages(body: str) -> None:
    assert answers.wants_person(body)


@each(
    "body",
    [
        "What does a person need to open an account?",
        "refund",
        "/persons",
        "orang tua saya sakit",
        "my agent number is 7",
        "",
    ],
)
def test_other_messages_do_not_ask_for_a_person(body: str) -> None:
    assert not answers.wants_person(body)


@each(
    ("body", "language"),
    [
        ("How can I pay?", "en"),
        ("bagaimana cara bayarnya?", "id"),
        ("mau refund dong kak", "id"),
        ("refund", "en"),
        ("", "en"),
    ],
)
def test_it_speaks_the_customers_language(body: str, language: str) -> None:
    assert answers.language(body) == language
    is_sure = body not in ("", "refund")
    assert answers.language(body, "id") == (language if is_sure else "id"), "in doubt that of the page"
    assert answers.UNSURE[language]
    assert answers.QUIET[language]


@given(st.text())
def test_any_text_can_be_cut_to_words(text: str) -> None:
    found = answers.words(text)
    assert len(found) <= answers.WORDS_MOST
    assert all(word.isalnum() for word in found)
    answers.wants_person(text)
    answers.best(found, FAQ)

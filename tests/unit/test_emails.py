"""Which text is an e-mail address: what mail servers take in practice, not all that a grammar allows."""

from hypothesis import given
from hypothesis import strategies as st

from db.people import EMAIL_MOST, is_email
from tests.variants import each


@each(
    "email",
    [
        "ani@shop.example",
        "ani.wijaya+toko@mail.shop.example",
        "ani@localhost",
        "o'neil_{x}!#$%&*/=?^`|~-@shop.example",
        "a..b.@docomo.example",  # addresses that a large provider gave out, whatever the RFC says
        "ani@127.0.0.1",
        "ani@my_host.example",
        "ani@münchen.example",
        "ani@xn--mnchen-3ya.example",
        "अनी@उदाहरण.भारत",
        "李@例子。广告",
        "x" * 64 + "@shop.example",
        "a@" + "b" * 63 + ".example",
        "a@" + ".".join(["b" * 49] * 5) + ".bc",  # 254 bytes
    ],
)
def test_an_address_that_mail_reaches_is_one(email: str) -> None:
    assert is_email(email)


@each(
    "email",
    [
        "",
        "ani",
        "@shop.example",
        "ani@",
        "ani@@shop.example",
        "Ani <ani@shop.example>",
        '"Ani"@shop.example',
        "ani@shop.example\n",
        "ani @shop.example",
        "ani\u00a0@shop.example",
        "ani\u202e@shop.example",
        "ani@shop.example,",
        "ani@shop.example;budi",
        "ani@shop.example.",
        "ani@.example",
        "ani@shop..example",
        "ani@-shop.example",
        "ani@shop-.example",
        "mailto:ani@shop.example",
        "(ani)@shop.example",
        "budi,ani@shop.example",
        "ani@shop/example",
        "ani@shop.example?subject=x",
        "ani@[127.0.0.1]",
        "ani\\@shop.example",
        "\ud800@shop.example",
        "x" * 65 + "@shop.example",
        "ü" * 33 + "@shop.example",  # 66 bytes
        "a@" + "b" * 64 + ".example",
        "a@" + ".".join(["b" * 49] * 5) + ".bcd",  # 255 bytes
        "a@" + ".".join(["ü" * 40] * 4) + ".example",  # 174 characters, 334 bytes
    ],
)
def test_what_no_mail_reaches_is_none(email: str) -> None:
    assert not is_email(email)


@given(st.text() | st.from_regex(r"[^@]{1,80}@[^@]{1,80}", fullmatch=True))
def test_an_address_has_one_at_and_nothing_that_lists_or_headers_part_at(text: str) -> None:
    if is_email(text):
        assert len(text.encode()) <= EMAIL_MOST
        assert text.count("@") == 1 and text.isprintable()
        assert not set(text) & set(' ,;:<>()[]"\\')

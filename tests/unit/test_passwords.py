"""New passwords that are tried first are refused, and each says why."""

from db.passwords import refusal
from tests.variants import each

OWN = ("ani.lestari@shop.example", "Ani Lestari")
REFUSED = {
    "8 to 1024 characters": ["short", "", "x" * 1025],
    "a simple row": ["11111111", "12345678", "87654321", "12341234", "abababab", "abcdefgh", "qwertyui", "asdfghjkl"],
    "tried first": ["password", "Password1", "P@ssw0rd!", "password123!", "123password", "admin2026", "Rahasia123"]
    + ["sayangku1", "Bismillah99", "qwerty!@#", "iloveyou2", "Welcome_1", "l3tm31n!!", "adm1n!!!!", "giliran2026"],
    "name or the e-mail": ["ani.lestari", "Lestari99", "AniLestari!", "lestari@1990"],
}
TAKEN = [
    "correct horse battery",
    "Test@1234",
    "right-password",
    "kopi susu hangat",
    "mQ7x!pLr",
    "my-shop-2026-lestari",
    "ユニコード文字列です",
]


@each(("why", "password"), [(why, one) for why, all_ in REFUSED.items() for one in all_])
def test_a_password_that_is_tried_first_is_refused(why, password):
    assert why in (refusal(password, *OWN) or "it was taken")


@each("password", TAKEN)
def test_any_other_is_taken(password):
    assert refusal(password, *OWN) is None

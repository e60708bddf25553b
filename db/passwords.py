"""Which new passwords are refused, and why. Pure; before it the admin tool, after it the hash (`people.hashed`)."""

import re

LEAST, MOST = 8, 1024  # characters
DIFFERENT_LEAST = 5  # of them
# What is tried first, wherever people guess: whole, or with figures and signs around it.
COMMON = frozenset(
    """
    password passwort pass passw secret admin administrator root user guest login welcome master superuser letmein
    iloveyou monkey dragon football baseball sunshine princess shadow trustno hello whatever starwars superman
    batman computer internet changeme default qwerty qwertyui qwertyuiop qwert azerty asdf asdfgh asdfghjkl zxcvbn
    zxcvbnm qazwsx qazwsxedc abc abcd abcde abcdef abcabc rahasia sandi katasandi sayang sayangku bismillah
    indonesia jakarta bandung surabaya cintaku cinta merdeka garuda anjing doraemon selamat datang selamatdatang
    giliran qiscus callcenter
    """.split()  # noqa: SIM905
)
RUNS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiop", "1qaz2wsx3edc4rfv5tgb")
SIGNS = str.maketrans("@$!013457", "asioieast")
BETTER = "a password of several words is good, and easy to keep in mind"


def refusal(password: str, *own: str) -> str | None:
    """Why this can't be one. `own`: what everybody knows of whose it is, as the name and the e-mail."""
    if not LEAST <= len(password) <= MOST:
        return f"a password has {LEAST} to {MOST} characters"
    if len(set(password.casefold())) < DIFFERENT_LEAST or _is_run(password.casefold()):
        return f"this password is a simple row of characters: {BETTER}"
    if _cores(password) & COMMON:
        return f"this is one of the passwords that are tried first: {BETTER}"
    if _cores(password) & {core for text in own for core in _known(text)}:
        return f"this password is made of the name or the e-mail: {BETTER}"
    return None


def _is_run(password: str) -> bool:
    """Such a row, forwards or backwards, perhaps once more."""
    half = password[: len(password) // 2]
    once = half if half * 2 == password else password
    return any(once in run or once[::-1] in run for run in RUNS)


def _cores(password: str) -> set[str]:
    """The word in it, as it is written and with the usual signs for letters."""
    lower = password.casefold()
    bare = re.sub(r"^[\d\W_]+|[\d\W_]+$", "", lower)
    signs = re.sub(r"\d+$", "", lower.rstrip("!?.#*")).translate(SIGNS)
    return {bare, bare.translate(SIGNS), signs, re.sub(r"[\d\W_]+", "", lower)} - {""}


def _known(text: str) -> set[str]:
    local = text.casefold().partition("@")[0]
    return {local, re.sub(r"[\d\W_]+", "", local), *re.findall(r"[^\W\d_]{3,}", local)}

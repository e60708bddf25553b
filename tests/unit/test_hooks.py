"""Events out, without servers: the signature of Standard Webhooks, waits between tries, which addresses are public."""

import base64
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from addresses import is_public, wrong_with_hook
from db import hooks
from tests.source import ROOT
from tests.variants import each
from worker.hooks import call, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # this and the signature: the vector that Standard Webhooks publishes

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def test_the_signature_is_that_of_the_published_vector() -> None:
    assert signature.headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_check_that_the_docs_show_accepts_what_we_sign_and_nothing_else() -> None:
    shown: dict[str, Any] = {}
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", OPERATIONS, re.S) if "def is_ours" in each]
    exec(block, shown)  # noqa: S102 - of our own page
    headers = dict(signature.headers(SECRET, "evt_1", 1614265330, "{}"))
    assert shown["is_ours"](SECRET, headers, b"{}")
    assert not shown["is_ours"](SECRET, headers, b"{ }")
    assert not shown["is_ours"](SECRET, headers | {"webhook-id": "evt_2"}, b"{}")
    assert not shown["is_ours"](hooks.new_secret(), headers, b"{}")


def test_each_secret_is_another_key_of_256_bits() -> None:
    made = {hooks.new_secret() for _ in range(10)}
    assert len(made) == 10
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}


def test_what_fails_is_tried_again_later_and_later_and_then_given_up() -> None:
    for tries, wait_s in enumerate(signature.AGAIN_S, 1):
        found = [signature.again_s(tries) or 0.0 for _ in range(100)]
        assert all(0.8 * wait_s <= again_s <= 1.2 * wait_s for again_s in found)
        assert len(set(found)) > 1, "who failed together does not come back together"
    assert signature.again_s(len(signature.AGAIN_S) + 1) is None


PRIVATE = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::127.0.0.1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "4000::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700:4700::1111")


@each("address", PRIVATE)
def test_no_address_inside_is_public(address: str) -> None:
    assert not is_public(address)


@each("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


BAD = (
    "http://shop.example/hook", "ftp://shop.example/", "shop.example/hook", "https://", "https://u:p@shop.example/",
    "https://shop.example/#x", "https://shop.example/a b", "https://shop.example:99999/", "https://shop.example\\@in/",
    "https://tokö.example/", "https://[::1", "",
)  # fmt: skip


@each("url", BAD)
def test_urls_that_could_be_misread_are_refused_without_quoting_them(url: str) -> None:
    wrong = wrong_with_hook(url, private=False)
    assert wrong
    assert "shop.example" not in wrong


def test_plain_http_is_for_private_receivers_alone() -> None:
    assert wrong_with_hook("https://shop.example/hook?key=1", private=False) is None
    assert wrong_with_hook("http://10.0.0.7:8080/hook", private=True) is None
    assert "HOOKS_ALLOW_PRIVATE" in str(wrong_with_hook("http://10.0.0.7:8080/hook", private=False))


@each("url", ("https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/"))
def test_a_name_of_this_machine_is_no_way_around(url: str) -> None:
    with pytest.raises(call.NotDelivered):
        call.checked(urlsplit(url), private=False)


def test_a_name_with_any_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("1.1.1.1", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: both)
    with pytest.raises(call.NotDelivered, match=r"10\.0\.0\.1, which is not public"):
        call.checked(urlsplit("https://two.example/"), private=False)
    assert call.checked(urlsplit("https://two.example/"), private=True) == "1.1.1.1"

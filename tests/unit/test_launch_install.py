"""`.venv`: made once, installed again only for new requirements, each failure one sentence."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.launch import install
from tests.variants import each


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    venv = tmp_path / ".venv"
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setattr(install, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(install, "PIP_LOG", venv / "pip.log")
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


def _pip_log_exists(repo: Path) -> bool:
    return (repo / ".venv" / "pip.log").exists()


@pytest.mark.long
def test_only_new_requirements_call_pip_and_its_failure_is_one_sentence(
    repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, since making a real `.venv` takes seconds. `./scripts/test` itself has just made one."""
    assert install.main("run", "requirements.txt") == 0
    assert _pip_log_exists(repo)
    (repo / ".venv" / "pip.log").unlink()
    assert install.main("run", "requirements.txt") == 0
    assert not _pip_log_exists(repo)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (repo / "requirements.txt").write_text("no-such-package-of-ours==1\n")
    assert install.main("run", "requirements.txt") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("run: pip could not install requirements.txt (ERROR: ")
    assert install.main("run", "requirements.txt") == 1, "a failed install must not count as done"


def test_a_checksum_covers_the_included_file(repo: Path) -> None:
    (repo / "requirements-dev.txt").write_text("-r requirements.txt\n")
    before = install.checksum("requirements-dev.txt")
    (repo / "requirements.txt").write_text("# changed\n")
    assert install.checksum("requirements-dev.txt") != before


@pytest.mark.parametrize(("made_as", "usable"), [(".venv", True), ("elsewhere/.venv", False)])
def test_a_copied_venv_is_not_usable(repo: Path, made_as: str, usable: bool) -> None:
    (repo / ".venv" / "bin").mkdir(parents=True)
    (repo / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (repo / ".venv" / "pyvenv.cfg").write_text(f"command = python3 -m venv {repo / made_as}\n")
    assert install.usable() is usable


def test_a_python_without_venv_names_the_package(
    repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert install.main("run", "requirements.txt") == 1
    assert "apt-get install python3." in capsys.readouterr().err
    assert not (repo / ".venv").exists()


@each("command", ["run", "test", "giliran"])
def test_the_commands_are_sound_bash(command: str) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / command
    subprocess.run(["bash", "-n", script], check=True)

"""The data folder: one launcher at a time, and no server opens what another one made."""

import os
import stat
from pathlib import Path

import pytest

from scripts.launch import folder
from scripts.launch.errors import Refusal
from scripts.launch.folder import Claim, Maker
from testbed.deadlines import eventually

HERE = Maker("PostgreSQL", "18")


def _nothing() -> None:
    return None


def test_the_maker_itself_may_come_back(tmp_path: Path) -> None:
    folder.write_maker(tmp_path, HERE)
    folder.check_maker(tmp_path, HERE, _nothing)


def test_a_new_folder_is_welcome(tmp_path: Path) -> None:
    folder.check_maker(tmp_path / "new", HERE, _nothing)


@pytest.mark.parametrize("other", [Maker("PostgreSQL", "17"), Maker("Redis", "7")])
def test_another_server_is_refused_and_the_maker_named(tmp_path: Path, other: Maker) -> None:
    folder.write_maker(tmp_path, other)
    with pytest.raises(Refusal, match=f"made by {other} and this is PostgreSQL 18"):
        folder.check_maker(tmp_path, HERE, _nothing)


def test_files_without_a_marker_are_judged_by_their_look(tmp_path: Path) -> None:
    folder.check_maker(tmp_path, HERE, lambda: "PostgreSQL 18")
    with pytest.raises(Refusal, match="made by PostgreSQL 16"):
        folder.check_maker(tmp_path, HERE, lambda: "PostgreSQL 16")
    with pytest.raises(Refusal, match="nothing says which server"):
        folder.check_maker(tmp_path, HERE, lambda: folder.UNKNOWN)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"server": "PostgreSQL"}', '"PostgreSQL 18"'])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "made-by.json").write_text(text)
    with pytest.raises(Refusal, match="nothing says which server"):
        folder.check_maker(tmp_path, HERE, _nothing)


def test_a_second_launcher_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    first = Claim(tmp_path)
    with pytest.raises(Refusal, match="in use by another"):
        Claim(tmp_path)
    first.release()
    Claim(tmp_path).release()


def test_a_child_that_outlives_its_launcher_keeps_the_run(tmp_path: Path) -> None:
    first = Claim(tmp_path)
    assert first.last_run_is_gone()
    inherited = os.dup(first.handed_on[0])  # as a child has it
    first.release()
    second = Claim(tmp_path)
    assert not second.last_run_is_gone()
    os.close(inherited)
    eventually(second.last_run_is_gone)
    second.release()


def test_a_secret_is_private_from_the_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    folder.write_private(path, "one")
    folder.write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["passwords.json"]


def test_a_servers_last_complaint_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert folder.last_complaint(log, ("FATAL:",)) == "it said nothing"
    log.write_text("FATAL: old\nFATAL: new\nLOG: bye\n")
    assert folder.last_complaint(log, ("FATAL:",)) == "FATAL: new"

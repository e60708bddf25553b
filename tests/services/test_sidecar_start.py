"""A sidecar that can't do its work says so at its start, in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def start(database_url: str, redis_url: str, data: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "DEMO": "0", "HOST": "127.0.0.1", "CHAT_PORT": "1", "SECRET_KEY": "k" * 32}
    env |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GILIRAN_DATA": str(data)}
    command = [sys.executable, "-m", "sidecar"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("what", ["a file", "below a file", "no folder of this system"])
def test_a_folder_that_cannot_be_used_is_named(database_url: str, redis_url: str, tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("")
    places = {"a file": "file", "below a file": "file/data"}
    data = tmp_path / places[what] if what in places else Path("/proc/giliran")
    done = start(database_url, redis_url, data)
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert said.startswith("sidecar: no file can be kept in") and "GILIRAN_DATA" in said

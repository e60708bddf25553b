"""A sidecar as a process of its own: a stop in its first moments, and a hang-up that has it begin anew."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from testbed.deadlines import eventually
from testbed.orphans import ends_with_us
from testbed.servers import free_port
from tests.variants import first_of

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def begun(place: Path, database_url: str, redis_url: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GILIRAN_DATA": str(place), "DEMO": "0"}
    with (place / "log").open("ab") as out:
        process = subprocess.Popen(
            ends_with_us([sys.executable, "-m", "sidecar"]),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "CHAT_PORT": str(port), **env},
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()  # a test that failed leaves nothing that runs
        process.wait(10)


@pytest.mark.parametrize("after_s", first_of([1.0, 0.3, 3.0]))
def test_a_stop_in_the_first_moments_is_heeded_at_once(
    tmp_path: Path, database_url: str, redis_url: str, after_s: float
) -> None:
    with begun(tmp_path, database_url, redis_url, free_port()) as process:
        time.sleep(after_s)  # whatever it does then
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) in (0, -signal.SIGTERM), "the latter before Python itself is up"
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_hang_up_begins_it_anew_as_the_same_process(tmp_path: Path, database_url: str, redis_url: str) -> None:
    port = free_port()

    def started() -> int:
        return (tmp_path / "log").read_text().count("sidecar_started")

    with begun(tmp_path, database_url, redis_url, port) as process:
        eventually(lambda: started() == 1, 20, "its start")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: started() == 2, 20, "its start anew")
        assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0

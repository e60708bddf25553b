"""Makes `.venv` and installs a requirements file into it. Runs before anything is installed: standard library only.

A stamp in `.venv` holds the checksum of what was installed, so that a start with nothing new calls no pip.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PIP_LOG = VENV / "pip.log"


class CannotInstall(Exception):
    """The text is one sentence for a person."""


def main(command: str, requirements: str) -> int:
    try:
        with _locked():
            _install(command, requirements)
    except (CannotInstall, OSError) as error:
        print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _locked() -> Iterator[None]:
    """Two first starts at once: the second waits and finds the work done. The folder itself is the lock, so that a
    read-only copy can be started too."""
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _install(command: str, requirements: str) -> None:
    stamp = VENV / f"stamp-{requirements}"
    wanted = checksum(requirements)
    kept = usable()
    if kept and stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"{command}: installing {requirements} into {VENV} ...", file=sys.stderr, flush=True)
    if not (kept and _has_pip()):
        _make_venv()
    _pip(command, requirements)
    stamp.write_text(wanted)


def checksum(requirements: str) -> str:
    """Of the file and of those that it includes with `-r`."""
    text = (ROOT / requirements).read_bytes()
    included = [line.split()[1] for line in text.decode().splitlines() if line.startswith("-r ")]
    return "".join([hashlib.sha256(text).hexdigest(), *map(checksum, included)])


def usable() -> bool:
    """False for a missing one, one whose Python is gone, and a copy: its scripts point to where it was made."""
    config = VENV / "pyvenv.cfg"
    if not (config.exists() and PYTHON.exists()):
        return False
    made_by = [line for line in config.read_text().splitlines() if line.startswith("command = ")]
    return not made_by or Path(made_by[0].split()[-1]) == VENV


def _has_pip() -> bool:
    return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def _make_venv() -> None:
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotInstall(
            f"Python {version} is here without its venv module: apt-get install python{version}-venv (Debian, Ubuntu), "
            "then start again"
        )
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotInstall(f"no virtual environment could be made in {VENV}: {_cause(done.stderr + done.stdout)}")


def _pip(command: str, requirements: str) -> None:
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--root-user-action=ignore"]
    with PIP_LOG.open("w") as log:
        done = subprocess.run(
            [PYTHON, "-m", "pip", "install", *options, "-r", ROOT / requirements],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONNOUSERSITE": "1"},
            check=False,
        )
    if done.returncode != 0:
        raise CannotInstall(
            f"pip could not install {requirements} ({_cause(PIP_LOG.read_text())}): check the network or set "
            f"PIP_INDEX_URL / HTTPS_PROXY, then start ./scripts/{command} again; {PIP_LOG} has all of it"
        )


def _cause(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors[:1] or lines[-1:] or ["it did not say why"])[0][:200]  # the first error is the cause


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

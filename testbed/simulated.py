"""Starts a simulator for a test, as a process of its own on a free port, and speaks its control API.

with simulator(webhooks=receiver_url, agents=20, offline=0) as sim:
    rooms = sim.add_customers(10)
    sim.wait_until(lambda: sim.state()["waiting_total"] == 0)
    assert max(sim.history()["max_held"].values()) <= 2
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from testbed.orphans import ends_with_us

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "http://127.0.0.1:9"  # the discard port: every webhook is refused


class SimulatorRefused(AssertionError):
    """The control API said no: a mistake of the test."""


class Sim:
    """A running simulator, seen from a test. `app` names one of several apps; None is the first."""

    def __init__(self, url: str, app: str | None = None, secret: str = "demo-secret") -> None:
        self.url = url
        self.app = app
        self.app_id = app or "demo-qiscus"
        self.secret = secret
        self._http = requests.Session()

    def of(self, app: str, secret: str = "demo-secret") -> "Sim":
        """The same server, another app."""
        return Sim(self.url, app, secret)

    # --- what a test makes happen

    def add_customers(self, count: int = 1, **what: object) -> list[str]:
        """`channel=`, `name=`, `email=`, `properties={key: value}`, or `rooms=[ids]` instead of a count."""
        return self.control("POST", "customers", {"count": count, **what})["rooms"]

    def write_again(self, room: str) -> None:
        self.control("POST", f"rooms/{room}/message")

    def resolve(self, room: str, by: str | int = "agent") -> int:
        """The service id of the resolve."""
        return self.control("POST", f"rooms/{room}/resolve", {"by": by})["service"]

    def resolve_all(self, by: str | int = "agent", which: str = "held") -> list[str]:
        return self.control("POST", "resolve", {"count": "all", "by": by, "which": which})["rooms"]

    def assign(self, room: str, agent: int, replace: bool = True) -> None:
        """By a supervisor's hand."""
        self.control("POST", f"rooms/{room}/assign", {"agent": agent, "replace": replace})

    def remove(self, room: str, agent: int) -> None:
        self.control("POST", f"rooms/{room}/remove", {"agent": agent})

    def online(self, agent: int, online: bool = True) -> None:
        self.control("PUT", f"agents/{agent}", {"online": online})

    def delete_agent(self, agent: int, deleted: bool = True) -> None:
        """The desk names them no more and refuses them; chats that they have stay theirs. `False`: hired again."""
        self.control("PUT", f"agents/{agent}", {"deleted": deleted})

    def add_division(self, name: str, *members: int) -> int:
        return self.control("POST", "divisions", {"name": name, "members": list(members)})["id"]

    def change_division(self, division: int, **change: object) -> None:
        """`name=`, `members=[ids]`."""
        self.control("PUT", f"divisions/{division}", change)

    def delete_division(self, division: int) -> None:
        self.control("DELETE", f"divisions/{division}")

    def move(self, agent: int, *divisions: int) -> None:
        """The agent belongs to these and no others."""
        self.control("PUT", f"agents/{agent}", {"divisions": list(divisions)})

    def only_channels(self, agent: int, channels: list[int] | None) -> None:
        self.control("PUT", f"agents/{agent}", {"channels": channels})

    def faults(self, **switches: object) -> dict[str, Any]:
        """Moves the named switches; see `scripts.simulator.faults.Faults`."""
        return self.control("PUT", "faults", switches)

    def no_faults(self) -> None:
        self.control("DELETE", "faults")

    def reset(self) -> None:
        self.control("POST", "reset")

    # --- what a test looks at

    def state(self) -> dict[str, Any]:
        return self.control("GET", "state")

    def history(self, **query: object) -> dict[str, Any]:
        """`kinds="assigned,removed"`, `since=`, `limit=`, `events=0`."""
        return self.control("GET", "history", query=query)

    def divisions(self) -> dict[str, dict[str, Any]]:
        """By their names, the last of those with one name."""
        return {division["name"]: division for division in self.state()["divisions"]}

    def said(self, room: str) -> list[str]:
        """What the bot said in the room."""
        return [event["text"] for event in self.history(kinds="said")["events"] if event["room"] == room]

    def agents(self) -> list[dict[str, Any]]:
        """Real agents only, no supervisors."""
        return [agent for agent in self.state()["agents"] if agent["type"] == "agent"]

    def waiting(self) -> list[str]:
        return [row["room"] for row in self.state()["waiting"]]

    def holders(self) -> dict[str, list[int]]:
        """Room → the agents in it, for rooms that have any."""
        return {room["room"]: room["agents"] for agent in self.state()["agents"] for room in agent["rooms"]}

    def wait_until(self, true: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s; the simulator: {self.state()}")
            time.sleep(0.02)

    # --- the two HTTP halves

    def control(self, method: str, path: str, body: object = None, query: dict[str, Any] | None = None) -> Any:
        params = {**(query or {}), **({"app": self.app} if self.app else {})}
        answer = self._http.request(method, f"{self.url}/control/{path}", json=body, params=params, timeout=30)
        if answer.status_code != 200:
            raise SimulatorRefused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def qiscus(self, method: str, path: str, timeout: float = 10, **kwargs: Any) -> requests.Response:
        """A call as an allocation service makes it."""
        headers = {"Qiscus-App-Id": self.app_id, "Qiscus-Secret-Key": self.secret}
        return self._http.request(method, f"{self.url}{path}", headers=headers, timeout=timeout, **kwargs)


@contextmanager
def simulator(
    webhooks: str = NOBODY,
    *,
    agents: int = 5,
    offline: int = 1,
    supervisors: int = 1,
    page_size: int = 50,
    divisions: str = "Jakarta, Bali",
    prefix: str = "",
    webhook_secret: str | None = None,
    more_apps: tuple[str, ...] = (),
    senders: int = 32,
    port: int = 0,
) -> Iterator[Sim]:
    """`more_apps=("other",)` adds apps with the secret `demo-secret` and webhooks at `/other/...`."""
    command = [sys.executable, "-m", "scripts.simulator", "--port", str(port), "--webhooks", webhooks]
    command += ["--agents", str(agents), "--offline", str(offline), "--supervisors", str(supervisors)]
    command += ["--page-size", str(page_size), "--senders", str(senders), f"--webhook-path-prefix={prefix}"]
    command += [f"--divisions={divisions}"]
    command += [f"--webhook-secret={webhook_secret}"] if webhook_secret else []
    command += [f"--app={name}:demo-secret" for name in more_apps]
    process = subprocess.Popen(ends_with_us(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield Sim(_address(process))
    finally:
        _stop(process)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line.startswith("simulator ready "):
        raise AssertionError(f"the simulator did not start: exit {process.wait()}, said {line!r}")
    return line.split()[-1]


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout:
            process.stdout.close()

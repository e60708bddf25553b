"""Customers of our own chat who come and go, so many a second: with each who goes an agent has a free seat for the next
one. Whoever came first goes first. Before `ops`.
"""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

AT_ONCE = 8  # requests
TIMEOUT_S = 30.0


class Turnover:
    """Customers of one tenant, at one sidecar that trusts us as its proxy. `went`: how many have gone; `failed`:
    requests that were not answered."""

    def __init__(self, port: int, tenant: str) -> None:
        self._url, self._tenant = f"http://127.0.0.1:{port}/api/v1/public/sessions", tenant
        self._keys: deque[str] = deque()
        self._over = threading.Event()
        self._http = threading.local()
        self.went = self.failed = 0

    def fill(self, customers: int) -> None:
        """So many come at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._keys.extend(pool.map(self._come, range(customers)))

    def __enter__(self) -> "Turnover":
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._thread = threading.Thread(target=self._go)
        return self

    def start(self, a_second: float) -> None:
        self._a_second = a_second
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _go(self) -> None:
        began, due = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + due / self._a_second - time.monotonic())):
            due += 1
            self._pool.submit(self._turn, due)

    def _turn(self, number: int) -> None:
        try:
            self._ask(f"/{self._keys.popleft()}/end", number)
            self.went += 1
            self._keys.append(self._come(number))
        except (requests.RequestException, IndexError):
            self.failed += 1

    def _come(self, number: int) -> str:
        who = {"name": f"Customer {number}", "email": f"c{number}.{time.monotonic_ns()}@mail.test"}
        return str(self._ask("", number, tenant_id=self._tenant, message="Good day", **who)["session_key"])

    def _ask(self, path: str, number: int, **body: Any) -> Any:
        """From many addresses, as behind a proxy: one alone may not have so many chats."""
        http = self._http.__dict__.setdefault("session", requests.Session())
        address = f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
        answer = http.post(self._url + path, json=body, headers={"X-Forwarded-For": address}, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

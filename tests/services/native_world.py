"""A tenant of our own chat for tests of the native desk: people, who of them has a page open, sessions that wait."""

from typing import Any

from db import chat, line, people, sessions
from db.ledger import lock
from db.postgres import Ledger
from db.turn import Turn
from testbed.passwords import PASSWORD, hash_of
from worker.desk.base import Desk

SIDECAR = "test"
END = "UPDATE sessions SET status = 'ended', ended_at = clock_timestamp() WHERE tenant = %s AND room = %s"


class NativeWorld:
    """Sessions alone, without visits: what the line makes of them is the worker's business."""

    def __init__(self, database_url: str, tenant: str, desk: Desk) -> None:
        self.desk = desk
        self.tenant = tenant
        self.ledger = Ledger(database_url, "world")
        self._online: list[str] = []
        self._offline: list[str] = []
        self._supervisor = self._gone = ""
        self.run("INSERT INTO tenants (id, desk, name, base_url, secret_key) VALUES (%s, 'native', 'Shop', '', '')")
        with self.ledger.transaction() as cur:
            cur.execute("INSERT INTO sidecars (id) VALUES (%s) ON CONFLICT DO NOTHING", (SIDECAR,))

    def close(self) -> None:
        self.ledger.close()

    def people(self, agents: int, offline: int) -> None:
        """So many agents, and a supervisor who has a page open too."""
        self._online = [self.hire(f"agent{n}@shop.example") for n in range(agents)]
        self._offline = [self.hire(f"away{n}@shop.example") for n in range(offline)]
        self._supervisor = self.hire("boss@shop.example", "supervisor")
        self._gone = self.hire("gone@shop.example")
        self.run("UPDATE accounts SET disabled = true WHERE tenant = %s AND agent = %s", self._gone)

    def hire(self, email: str, role: str = "agent") -> str:
        with self.ledger.transaction() as cur:
            return people.add_account(cur, self.tenant, email, email.split("@", maxsplit=1)[0], hash_of(PASSWORD), role)

    def reset(self) -> None:
        for table in ("sessions", "presence", "visits"):
            self.run(f"DELETE FROM {table} WHERE tenant = %s")
        for agent in (*self._online, self._supervisor):
            self.go(agent, True)

    def room(self) -> str:
        room = chat.new_room()
        with self.ledger.transaction() as cur:
            sessions.open_session(cur, self.tenant, room, chat.new_key(), "budi@example.com", "Budi")
        return room

    def arrive(self) -> str:
        """A session with its place in the line, as a start makes it; no ticket is asked for."""
        room = chat.new_room()
        with self.ledger.transaction() as cur:
            turn = Turn(cur, self.tenant, lock(cur, self.tenant))
            visit = line.NewVisit(room, line.next_place(turn), chat.CLASS, chat.CLASS, base_proved=True)
            line.open_visits(turn, [visit])
            sessions.open_session(cur, self.tenant, room, chat.new_key(), "budi@example.com", "Budi")
        return room

    def end(self, room: str) -> None:
        """As an end by the customer or the agent: the seat is free."""
        with self.ledger.transaction() as cur:
            turn = Turn(cur, self.tenant, lock(cur, self.tenant))
            cur.execute(
                "SELECT id FROM visits WHERE tenant = %s AND room = %s AND state <> 'closed'", (self.tenant, room)
            )
            line.close(turn, [(row.id, None, "ended by the customer") for row in cur.fetchall()])
            cur.execute(END, (self.tenant, room))

    def agents(self, online: bool = True) -> list[str]:
        return sorted(self._online if online else self._offline)

    def supervisor(self) -> str:
        return self._supervisor

    def go(self, agent: str, online: bool) -> None:
        """The agent's page is opened or closed."""
        self.run("DELETE FROM presence WHERE tenant = %s AND agent = %s", agent)
        if online:
            self.run(
                "INSERT INTO presence (tenant, agent, sidecar, until)"
                f" VALUES (%s, %s, '{SIDECAR}', clock_timestamp() + interval '1 minute')",
                agent,
            )

    def resolve(self, room: str) -> None:
        self.run(
            "UPDATE sessions SET status = 'ended', ended_at = clock_timestamp() WHERE tenant = %s AND room = %s", room
        )

    def put(self, room: str, agent: str) -> None:
        """By a supervisor's hand."""
        self.run(
            "UPDATE sessions SET status = 'active', agent = %s WHERE tenant = %s AND room = %s", room, before=(agent,)
        )

    def divide(self, **divisions: list[str]) -> None:
        """By their names, and no others. One without members is one of a disabled account."""
        members = {name: ids or [self._gone] for name, ids in divisions.items()}
        for agent in (*self._online, *self._offline, self._supervisor, self._gone):
            names = [name for name, ids in members.items() if agent in ids]
            self.run("UPDATE accounts SET divisions = %s WHERE tenant = %s AND agent = %s", agent, before=(names,))

    def email(self, agent: str) -> str:
        (row,) = self.rows("SELECT email FROM accounts WHERE tenant = %s AND agent = %s", agent)
        return row.email

    def said(self, room: str) -> list[str]:
        rows = self.rows(
            "SELECT m.body FROM messages m JOIN sessions s ON s.id = m.session WHERE s.tenant = %s AND s.room = %s"
            " AND m.event->>'type' = 'notice' ORDER BY m.seq",
            room,
        )
        return [row.body for row in rows]

    def wait_until_listed(self, rooms: list[str]) -> None:
        """This desk is never late."""

    def run(self, sql: str, *values: Any, before: tuple[Any, ...] = ()) -> None:
        """The tenant is the first value after `before`."""
        with self.ledger.transaction() as cur:
            cur.execute(sql, (*before, self.tenant, *values))

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with self.ledger.transaction() as cur:
            cur.execute(sql, (self.tenant, *values))
            return cur.fetchall()

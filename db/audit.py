"""Who changed what by hand, on `/ops` or by the admin tool. Every function runs in the caller's transaction: an act and
its line here are one. Never a secret, a password or a key: that one changed is all that is told of it.
"""

import json
from typing import Any

from psycopg2.extensions import cursor

from db.postgres import Statements

AUDIT = Statements("audit")
SUBJECT_MOST = 200  # characters


def write(
    cur: cursor,
    tenant: str | None,
    who: str,
    what: str,
    subject: str = "",
    before: Any = None,
    after: Any = None,
    address: str | None = None,
) -> None:
    """`tenant` None: of the installation. `before`, `after`: what JSON can hold; None: nothing, or not told."""
    values = {"before": _json(before), "after": _json(after), "subject": subject[:SUBJECT_MOST]}
    AUDIT.run(cur, "write", tenant=tenant, who=who, what=what, address=address, **values)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def read(cur: cursor, tenant: str | None, most: int | None, before: int | None = None) -> list[dict[str, Any]]:
    """The latest first; `most` None: all of them. `tenant` None: of all, with those of the installation; `before`: only
    with smaller numbers."""
    rows = AUDIT.all(cur, "read", tenant=tenant, most=most, before_id=before)
    return [row._asdict() for row in rows]

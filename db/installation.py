"""Which installation this is. Its id is made once, in the ledger, and goes where the ledger goes (a dump has it too).

Redis has it twice: in the channels of the chat, which know no database numbers; and in one key of the database number
that is this installation's alone. Two ledgers on one database number would serve one another's rooms, so the second
one is refused (`worker/ownership.py`).
"""

import secrets

from psycopg2.extensions import cursor
from redis.connection import parse_url

from db.ledger import LEDGER


def id_of(cur: cursor) -> str:
    """This ledger's id, made now if it has none."""
    row = LEDGER.one(cur, "installation")
    if row is None:
        LEDGER.run(cur, "make_installation", id=secrets.token_hex(8))
        row = LEDGER.one(cur, "installation")
    found: str = row.id
    return found


def rename(cur: cursor) -> str:
    """A new id: for a copy of a ledger whose original goes on."""
    id_of(cur)
    new = secrets.token_hex(8)
    LEDGER.run(cur, "rename_installation", id=new)
    return new


def scope(installation: str, redis_url: str) -> str:
    """What marks events as this installation's own: its id, and the database number, for a copy of its ledger (a
    staging one, say) that works on another number of the same Redis."""
    return f"{installation}.{parse_url(redis_url).get('db', 0)}"


def not_ours(holder: str) -> str:
    """The refusal. `holder`: the id that Redis has."""
    return (
        f"the Redis database of REDIS_URL belongs to another installation ({holder[:16]}): give this one a database"
        " number of its own, as in redis://host:6379/1; or, if the other one is gone for good, run"
        " `giliran installation take`"
    )

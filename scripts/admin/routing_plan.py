"""How a change of the rules looks: pure, from `views/plan.py` to text. For `apply` and `reset`."""

from scripts.admin.table import table
from views import queues
from views.plan import Move, Plan
from views.words import clean, counted, listed

MOVES_MAX = 20  # lines of them that a person reads


def text(found: Plan) -> str:
    rows = [
        ("queues added", listed(found.added)),
        ("queues removed", listed(found.removed)),
        *(("queue changed", f"{clean(name)}: {', '.join(keys)}") for name, keys in found.changed.items()),
        ("also changed", ", ".join(found.sections)),
        ("waiting rooms", _moving(found)),
    ]
    lines = [f"{name:<14}  {words}" for name, words in rows if words]
    if found.moves:
        lines.append(table(("ROOMS", "FROM", "TO"), map(_row, found.moves[:MOVES_MAX]), "  "))
    if len(found.moves) > MOVES_MAX:
        lines.append(f"  … and {len(found.moves) - MOVES_MAX} more (--json has all)")
    if found.unknown:
        lines.append(f"Of rooms that wait now it is not known yet: {listed(found.unknown, 20)}")
    return "\n".join(lines)


def _moving(found: Plan) -> str:
    if not found.waiting:
        return "none"
    moving = sum(move.rooms for move in found.moves)
    return (
        f"{moving:,} of {found.waiting:,} would move, each keeps its arrival" if moving else "none of them would move"
    )


def _row(move: Move) -> tuple[int, str, str]:
    return move.rooms, queues.shown(move.old), queues.shown(move.new)


def done_text(version: int, content: str, found: Plan, workers: int) -> str:
    what = f"version {version} is in force" + ("" if content else ": no rules, each channel has its queue")
    if not found.waiting:
        return what
    if not workers:
        return f"{what}; no worker is running: waiting rooms go by it when one does"
    return f"{what}; a worker goes through {counted(found.waiting, 'waiting room')} now"

"""A long storm over the whole product: real processes, killed and frozen at random, at a desk that fails at random.

Customers of one tenant come as a burst and then one after the other, some return; the acts of the seed's plan happen
to workers, agents, chats, webhooks, with --servers to Redis, PostgreSQL and the receiver too. A second tenant has its
own customers and desk, and nothing is done to it. Then the weather clears, and every promise is judged from the
simulated desk's own history: limits, order, pairs, no room lost, and that the second tenant did not have to wait.
With --rules there is one tenant only, with divisions and a rules file that changes twice, whose hours end meanwhile;
workers are killed, divisions and agents change at the desk. Who served whom, when, in which order and by which rule is
then judged by another reading of the files' words.
The same seed makes the same plan. Exit code 1 when a promise was broken, 2 for a wrong word.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.storms import clocks, ruled, ruled_plan, ruled_world
from scripts.storms.acts import ACTS
from scripts.storms.plan import Step, plan
from scripts.storms.stage import Sizes, Verdict, storm

BAR = 24
SECONDS, RULED_SECONDS = 45.0, 120.0
LINE_EVERY_S = 5.0  # where nobody watches a bar


def main() -> int:
    args = _arguments()
    if args.list:
        return _list()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.rules:
        return _ruled(args)
    names = _chosen(args)
    library = clocks.library() if any(ACTS[name].clock for name in names) and not args.plan else None
    if not library and not args.plan and any(ACTS[name].clock for name in names):
        print(f"storm: {clocks.MISSING}", file=sys.stderr)
    left_out = {name for name in names if ACTS[name].clock and not library and not args.plan}
    steps = [s for s in plan(args.seed, args.seconds or SECONDS, names, args.rooms or 400) if s.act not in left_out]
    if args.only is not None:
        steps = [step for step in steps if step.number in {0, *args.only}]
    if args.plan:
        return _show_plan(steps, args.json)
    sizes = Sizes(args.seconds or SECONDS, args.agents or 30, args.limit, args.workers, _fail(args), args.bound)
    verdict = storm(args.seed, sizes, steps, library, _Bar(sizes.seconds, sys.stderr), args.keep)
    return _tell(args, names, left_out, verdict)


def _ruled(args: argparse.Namespace) -> int:
    """The storm over a tenant with rules."""
    seconds = args.seconds or RULED_SECONDS
    sizes = ruled_world.Sizes(rooms=args.rooms or 1_000, agents=args.agents or 200, limit=args.limit)
    if args.plan:
        return _show_ruled_plan(ruled_plan.plan(args.seed, seconds, sizes, kills=True), args.json)
    bar = _Bar(seconds, sys.stderr)
    verdict = ruled.storm(args.seed, seconds, sizes, args.workers, args.fail or 0.0, bar, args.keep)
    args.seconds = seconds
    return _tell(args, [], set(), verdict)


def _show_ruled_plan(steps: Sequence[ruled_plan.Step], as_json: bool) -> int:
    if as_json:
        print(json.dumps([vars(step) for step in steps]))
        return 0
    for step in steps:
        print(f"{step.at_s:6.2f} s  {step.deed:20} {step.how or ''}")
    return 0


def _fail(args: argparse.Namespace) -> float:
    return 0.2 if args.fail is None else float(args.fail)


def _chosen(args: argparse.Namespace) -> list[str]:
    """All acts of the kind that was asked for, or those that were named."""
    if args.acts:
        return list(args.acts)
    return [name for name, act in ACTS.items() if args.servers or not act.servers]


def _list() -> int:
    for name, act in ACTS.items():
        print(f"{name:20} {act.about}{' (--servers)' if act.servers else ''}")
    return 0


def _show_plan(steps: Sequence[Step], as_json: bool) -> int:
    if as_json:
        print(json.dumps([step.as_json() for step in steps]))
        return 0
    for step in steps:
        if step.number:
            print(f"{step.at_s:6.2f} s  {step.number:3}  {step.act:20} {step.deed} {step.how or ''}")
    return 0


def _tell(args: argparse.Namespace, names: Sequence[str], left_out: set[str], verdict: Verdict) -> int:
    held = not verdict.broken
    told: dict[str, Any] = {
        "seed": args.seed,
        "seconds": args.seconds or SECONDS,
        "acts": [name for name in names if name not in left_out],
        "left_out": sorted(left_out),
        "held": held,
        "broken": verdict.broken,
        "done": {deed: count for deed, count in sorted(verdict.done.items()) if count},
        "missed": dict(sorted(verdict.missed.items())),
        **verdict.facts,
    }
    if args.json:
        print(json.dumps(told))
        return 0 if held else 1
    for deed, count in told["done"].items():
        failed = f", {verdict.missed[deed]} could not be done" if verdict.missed[deed] else ""
        print(f"  {deed}: {count}{failed}")
    for name, fact in verdict.facts.items():
        print(f"  {name}: {fact}")
    for each in verdict.broken:
        print(f"storm: BROKEN (seed {args.seed}): {each}")
    if held:
        print(f"storm: all promises held (seed {args.seed})")
    return 0 if held else 1


class _Bar:
    """How far the storm is: a bar for people, a line now and then for logs."""

    def __init__(self, seconds: float, out: Any) -> None:
        self._seconds, self._out, self._next_s, self._live = seconds, out, 0.0, out.isatty()

    def __call__(self, what: str, now_s: float, told: str) -> None:
        share = min(1.0, now_s / self._seconds) if self._seconds else 1.0
        bar = "#" * int(share * BAR)
        if self._live:
            self._out.write(f"\r\033[K{what} [{bar:.<{BAR}}] {now_s:4.0f}/{self._seconds:.0f} s  {told}"[:160])
            self._out.flush()
        elif now_s >= self._next_s:
            self._next_s = now_s + LINE_EVERY_S
            self._out.write(f"{what} {now_s:4.0f}/{self._seconds:.0f} s  {told}\n")
            self._out.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("storm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=_seconds, help="how long it blows (45, with --rules 120)")
    parser.add_argument("--rules", action="store_true", help="over a tenant with rules, judged by them")
    parser.add_argument("--servers", action="store_true", help="Redis, PostgreSQL and the receiver are hit, too")
    parser.add_argument("--acts", type=_acts, metavar="A,B", help="only these acts; --list names them")
    parser.add_argument("--only", type=_numbers, metavar="3,7", help="of the plan only the acts with these numbers")
    parser.add_argument("--list", action="store_true", help="name all acts, and end")
    parser.add_argument("--plan", action="store_true", help="show what the seed would do, and when, and end")
    parser.add_argument("--rooms", type=int, help="customers of the first tenant (400, with --rules 1,000)")
    parser.add_argument("--agents", type=int, help="30, with --rules 200")
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fail", type=float, help="share of the desk's calls that fail (0.2, with --rules 0)")
    parser.add_argument("--bound", type=float, default=5.0, help="longest wait of the second tenant, seconds (5)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="logs, histories and the ledger are put there")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser.parse_args()


def _seconds(text: str) -> float:
    if not 1 <= (value := float(text)) <= 3600:
        raise argparse.ArgumentTypeError("from 1 to 3600")
    return value


def _acts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ACTS]:
        raise argparse.ArgumentTypeError(f"there is no act {unknown[0]}: --list names them")
    return names


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())

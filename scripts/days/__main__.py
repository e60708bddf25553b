"""A day of the chat in a real browser: agents, a supervisor and customers, on page and widget, some on phones, do at
random what people can do. They open, write, attach, paste, transfer, pick, end, rate, reload, lose the network, open a
second tab; sidecars are killed. After each step, pages are compared with fresh ones: those of whoever took part and of
one more person, after every twentieth step all. At the end every text is where it was meant for, once.

With an even seed a worker gives chats to agents; with an odd one they pick. Exit code 1 when something was wrong.
"""

import argparse
import signal
import sys
import time

from testbed import servers
from testbed.chromium import chromium
from testbed.walk.day import Sizes, Walk, day

LINE_EVERY_S = 10.0


def main() -> int:
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = Sizes(customers=args.customers, workers=0 if args.seed % 2 else 1)
    wrong = 0
    with (
        servers.own_ports(),
        servers.databases() as databases,
        servers.redis_databases() as redis,
        chromium() as browser,
        day(databases, redis, browser, args.seed, sizes) as walk,
    ):
        wrong += _walks(walk, args)
    print(f"day: seed {args.seed}: {'all pages agreed' if not wrong else f'{wrong} times something was wrong'}")
    return 1 if wrong else 0


def _walks(walk: Walk, args: argparse.Namespace) -> int:
    wrong, told_at, begun = 0, 0.0, time.monotonic()
    for number in range(1, args.steps + 1):
        try:
            walk.step()
        except AssertionError as error:
            wrong += 1
            print(f"day: WRONG {error}", flush=True)
            if not args.keep_going:
                return wrong
            walk.starts_over()
        if time.monotonic() > told_at + LINE_EVERY_S:
            told_at = time.monotonic()
            print(f"step {number}/{args.steps} {told_at - begun:.0f} s", file=sys.stderr, flush=True)
    try:
        walk.close()
    except AssertionError as error:
        wrong += 1
        print(f"day: WRONG {error}", flush=True)
    print("  " + ", ".join(f"{what} {n}" for what, n in sorted(walk.counted.items())))
    return wrong


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("day", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600, help="600: half an hour, more on a busy machine")
    parser.add_argument("--customers", type=int, default=12)
    parser.add_argument(
        "--keep-going", action="store_true", help="after a fault all pages are loaded anew, and it goes on"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Starts the simulator: `python -m scripts.simulator --webhooks http://127.0.0.1:8000`. Prints a line when it listens.

Several apps: `--app <app id>:<secret key>` for each further one; its webhooks go to `/<app id>/...`.
"""

import argparse
import asyncio
import os
import signal
import sys

from scripts.simulator.app import Plan
from scripts.simulator.server import Simulator, serving


def main() -> int:
    args = _arguments()
    try:
        asyncio.run(_run(Simulator(_plans(args), args.senders), args.host, args.port))
    except OSError as error:
        print(f"simulator: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


async def _run(simulator: Simulator, host: str, port: int) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with serving(simulator, host, port) as url:
        print(f"simulator ready {url}", flush=True)
        await stop.wait()


def _plans(args: argparse.Namespace) -> list[Plan]:
    shared = {
        "webhooks": args.webhooks,
        "webhook_secret": args.webhook_secret,
        "agents": args.agents,
        "offline": args.offline,
        "supervisors": args.supervisors,
        "page_size": args.page_size,
        "divisions": args.divisions,
    }
    first = Plan(app_id=args.app_id, secret_key=args.secret_key, prefix=args.webhook_path_prefix, **shared)
    pairs = (pair.split(":", 1) for pair in args.app)
    return [first, *(Plan(app_id=name, secret_key=secret, prefix=f"/{name}", **shared) for name, secret in pairs)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m scripts.simulator", description="A stand-in for Qiscus Omnichannel.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8002, help="0 takes a free one")
    parser.add_argument("--webhooks", default=Plan.webhooks, help="base URL that webhooks are posted to")
    parser.add_argument("--webhook-path-prefix", default="", metavar="/APP_ID", help="put before the webhook paths")
    of_env = os.environ.get("SIMULATOR_WEBHOOK_SECRET") or None
    parser.add_argument("--webhook-secret", default=of_env, help="sent as ?secret= (or SIMULATOR_WEBHOOK_SECRET)")
    parser.add_argument("--app-id", default=Plan.app_id)
    parser.add_argument("--secret-key", default=Plan.secret_key)
    parser.add_argument("--app", action="append", default=[], type=_pair, metavar="ID:SECRET", help="one more app")
    parser.add_argument("--agents", type=int, default=Plan.agents, help="agents online")
    parser.add_argument("--offline", type=int, default=Plan.offline, help="agents offline")
    parser.add_argument("--supervisors", type=int, default=Plan.supervisors)
    parser.add_argument("--page-size", type=int, default=Plan.page_size, help="most rows in a page of agents")
    parser.add_argument("--divisions", default=Plan.divisions, metavar="NAME, ...", help="who the agents belong to")
    parser.add_argument("--senders", type=int, default=32, help="webhooks under way at one time; 1 keeps their order")
    return parser.parse_args()


def _pair(text: str) -> str:
    name, colon, secret = text.partition(":")
    if not (name and colon and secret):
        raise argparse.ArgumentTypeError("use ID:SECRET")
    return text


if __name__ == "__main__":
    sys.exit(main())

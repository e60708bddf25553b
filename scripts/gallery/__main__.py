"""Every page in every state that people see: pictures in both themes and languages, on a desk and on a phone; or, with
--axe, what axe finds there that is serious or critical: both themes, on a desk, a phone, 320 pixels wide, and at 200 %.
With --axe the exit code is 1 where something was found. --docs renews the pictures of the documents, docs/pictures/.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page

from scripts.gallery import documents
from testbed import servers
from testbed.axe import AT_REST, grave_faults
from testbed.chathouse import Shop, page_shop
from testbed.chromium import chromium
from testbed.opsstates import OPS
from testbed.states import STATES, make_kiosk, slug, stage

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ON_A_PHONE = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
SIZES: dict[str, dict[str, Any]] = {"desk": {"viewport": DESK}, "phone": ON_A_PHONE}
MORE_SIZES: dict[str, dict[str, Any]] = {
    "320": {"viewport": {"width": 320, "height": 640}},
    "200%": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}
LANGUAGES = {"en": "en-GB", "id": "id-ID"}
ALL = STATES | OPS


def main() -> int:
    args = _arguments()
    names = [name for name in ALL if all(word in name for word in args.only)]
    if args.list:
        print("\n".join(names))
        return 0
    with (
        servers.own_ports(),
        servers.databases() as databases,
        servers.redis_databases() as redis,
        page_shop(databases, redis, UPLOAD_MAX_MB="1") as shop,
        chromium() as browser,
    ):
        make_kiosk(shop)
        if args.docs:
            return _documents(browser, shop)
        wrong = _axe(browser, shop, names) if args.axe else _pictures(browser, shop, names, args.folder)
    for each in wrong:
        print(f"pictures: {each}")
    print(f"pictures: {len(names)} states, {len(wrong)} faults")
    return 1 if wrong else 0


def _pictures(browser: Browser, shop: Shop, names: list[str], folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    wrong = []
    for language, locale in LANGUAGES.items():
        for size, options in SIZES.items():

            def take(name: str, page: Page, to: str = f"{size}-{language}") -> list[str]:
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    page.evaluate(AT_REST)
                    page.screenshot(path=folder / f"{slug(name)}-{to}-{scheme}.png")
                return []

            wrong += list(_each(browser, shop, names, {"locale": locale, **options}, take))
    return wrong


def _documents(browser: Browser, shop: Shop) -> int:
    documents.FOLDER.mkdir(exist_ok=True)
    for name, reach in documents.PICTURES.items():
        with stage(browser, shop, locale="en-GB", viewport=DESK) as made:
            page, path = reach(made), documents.FOLDER / f"{name}.png"
            page.evaluate(AT_REST)
            page.screenshot(path=path)
        documents.shrink(path)
        print(f"pictures: {path.relative_to(documents.FOLDER.parents[1])}, {path.stat().st_size // 1024} KiB")
    return 0


def _axe(browser: Browser, shop: Shop, names: list[str]) -> list[str]:
    wrong = []
    for size, options in {**SIZES, **MORE_SIZES}.items():
        told = _each(browser, shop, names, {"locale": "en-GB", **options}, lambda name, page: grave_faults(page))
        wrong += [f"{size}: {each}" for each in told]
    return wrong


def _each(
    browser: Browser, shop: Shop, names: list[str], options: dict[str, Any], what: Callable[[str, Page], list[str]]
) -> Iterator[str]:
    for number, name in enumerate(names, 1):
        print(f"{number}/{len(names)} {name}", file=sys.stderr, flush=True)
        try:
            with stage(browser, shop, **options) as made:
                yield from (f"{name}: {each}" for each in what(name, ALL[name](made)))
        except (AssertionError, Error) as error:
            yield f"{name}: was not reached: {str(error)[:400]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "pictures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=_folder, help="where the pictures go")
    parser.add_argument("--axe", action="store_true", help="no pictures: what axe finds")
    parser.add_argument("--docs", action="store_true", help="renew the pictures in docs/pictures/, and nothing else")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="states whose names have these words")
    parser.add_argument("--list", action="store_true", help="name the states, and end")
    args = parser.parse_args()
    if not (args.folder or args.axe or args.list or args.docs):
        parser.error("where do the pictures go?")
    return args


def _folder(text: str) -> Path:
    return Path(os.environ.get("GILIRAN_CALLED_FROM", "."), text)


if __name__ == "__main__":
    sys.exit(main())

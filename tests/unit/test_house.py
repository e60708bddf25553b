"""The arrows of the house: who may import whom, who reads settings, how a module opens, how long it may be."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.source import ROOT, code, docstring, last_name, nodes, text
from tests.variants import each

HOUSE = ("policies", "receiver", "routing", "db", "views", "worker", "sidecar", "scripts")
ALONE = tuple(path.name for path in sorted(ROOT.glob("*.py")))
MODULES = [*(ROOT / each for each in ALONE), *code(*HOUSE)]
BED = code("testbed")  # what tests, storms and benches stand on
TESTS = code("tests")

# folder → what its modules never import: processes talk through Redis, PostgreSQL and HTTP, not through one another.
FORBIDDEN = {
    "receiver": {
        "worker",
        "sidecar",
        "views",
        "scripts",
        "testbed",
        "psycopg2",
        "requests",
        "db.postgres",
        "db.line",
        "db.turn",
        "db.ledger",
        "db.migrate",
    },
    "policies": {"receiver", "worker", "sidecar", "db", "scripts", "testbed", "settings", "psycopg2"},
    "routing": {
        "receiver",
        "worker",
        "sidecar",
        "db",
        "scripts",
        "testbed",
        "settings",
        "logs",
        "flask",
        "aiohttp",
        "psycopg2",
        "redis",
        "requests",
        "os",
        "pathlib",
    },
    "views": {"receiver", "worker", "sidecar", "scripts", "testbed", "flask", "aiohttp", "settings"},
    "db": {"receiver", "views", "worker", "sidecar", "scripts", "testbed", "flask", "aiohttp"},
    "worker": {"receiver", "sidecar", "views", "scripts", "testbed", "flask", "aiohttp"},
    "sidecar": {"receiver", "worker", "scripts", "testbed", "flask"},
    "scripts": {"tests"},
    "testbed": {"tests"},
    "settings.py": {"receiver", "worker", "sidecar", "db", "scripts"},
    "logs.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings"},
    "stopping.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings", "logs"},
    "tenant_ids.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings", "logs"},
}
# Rooms of the sidecar, and which others each may import; what stands beside the rooms imports all of them.
ROOMS: dict[str, set[str]] = {
    "web": set(),
    "live": {"web"},
    "files": {"live", "web"},
    "bot": {"live", "web"},
    "customers": {"bot", "files", "live", "web"},
    "agents": {"files", "live", "web"},
    "ops": {"agents", "live", "web"},
}
PAGES: dict[str, set[str]] = {  # the same of the pages' modules, in `sidecar/pages`
    "js/words": set(),
    "js/core": {"js/words"},
    "js/customer": {"js/core", "js/words"},
    "js/agent": {"js/core", "js/words"},
    "js/ops": {"js/agent", "js/core", "js/words"},
    "js/site": {"js/core", "js/words"},
    "widget": {"css", "js/customer", "js/core", "js/words"},
}
BESIDE_THE_ROOMS = {"__init__.py", "__main__.py", "app.py", "health.py"}
ENTRY_POINTS = {
    "db/migrate.py",
    "receiver/app.py",
    "receiver/gunicorn.conf.py",
    "worker/__main__.py",
    "sidecar/__main__.py",
}
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "manager", "misc", "common", "base_utils"}
LINES_MOST = 400


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def imported(path: Path) -> frozenset[str]:
    """`from db import inbox` is `db` and `db.inbox`."""
    names = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or ".", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def reaches(wanted: str, imports: frozenset[str]) -> bool:
    return any(each == wanted or each.startswith(f"{wanted}.") for each in imports)


def test_the_house_was_found() -> None:
    assert len(MODULES) > 40


def test_the_arrows_point_one_way() -> None:
    for path in [*MODULES, *BED]:
        forbidden = FORBIDDEN.get(name(path).partition("/")[0], ())
        assert [each for each in forbidden if reaches(each, imported(path))] == [], name(path)


def test_the_sidecar_has_its_rooms_and_nothing_else_beside_them() -> None:
    found = {path.relative_to(ROOT / "sidecar") for path in MODULES if path.is_relative_to(ROOT / "sidecar")}
    assert {str(path) for path in found if len(path.parts) == 1} == BESIDE_THE_ROOMS
    assert {path.parts[0] for path in found if len(path.parts) > 1} == set(ROOMS)


@each("room", ROOMS)
def test_a_room_of_the_sidecar_imports_what_it_says_and_nothing_above_it(room: str) -> None:
    folder = ROOT / "sidecar" / room
    modules = [path for path in MODULES if path.is_relative_to(folder)]
    used = {
        each.split(".")[1]
        for path in modules
        for each in imported(path)
        if each.startswith("sidecar.") and len(each.split(".")) > 1
    }
    assert used - {room} <= ROOMS[room]
    said = re.search(r"Imports (.*)\.$", docstring(folder / "__init__.py"))
    assert said and set(re.findall(r"`(\w+)`", said[1])) == ROOMS[room]


@each("group", PAGES)
def test_the_pages_modules_import_one_way(group: str) -> None:
    folder = ROOT / "sidecar/pages" / group
    found = {
        (folder / each).resolve()
        for path in folder.glob("*.js")
        for each in re.findall(r'^import .*?"([^"]+)"', path.read_text(), re.M)
    }
    assert [str(path) for path in found if not path.exists()] == []
    assert {str(path.parent.relative_to(ROOT / "sidecar/pages")) for path in found} - {group} <= PAGES[group]


def test_the_sidecar_names_blocks_of_sql_in_no_module_of_its_own() -> None:
    """The functions of `db/` do: one way to ask for one thing."""
    named = r"\bStatements\(|\b[A-Z]+\.(?:all|one|run)\(cur"
    found = [name(path) for path in MODULES if name(path).startswith("sidecar/") and re.search(named, text(path))]
    assert found == []


def test_a_running_receiver_has_loaded_no_worker_and_no_database() -> None:
    """Also through others: what is imported counts, not what is written."""
    ask = "import sys, receiver.app, receiver.serving; print(sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"worker", "psycopg2", "scripts", "requests"} & set(ast.literal_eval(done.stdout))


def test_only_entry_points_read_settings() -> None:
    readers = {name(path) for path in MODULES if reaches("settings", imported(path))}
    assert {reader for reader in readers if not reader.startswith("scripts/")} == ENTRY_POINTS


def reads_the_environment(path: Path) -> bool:
    asked = {f"{last_name(node.value)}.{node.attr}" for node in nodes(path) if isinstance(node, ast.Attribute)}
    return bool({"os.environ", "os.environb", "os.getenv", "os.getenvb"} & {*asked, *imported(path)})


def test_nobody_else_reads_the_environment() -> None:
    """The launcher and the admin tool hand it on to others, and look whether colours are wanted."""
    for path in MODULES:
        if reads_the_environment(path):
            assert name(path) == "settings.py" or name(path).startswith("scripts/"), name(path)


def test_a_module_imports_at_its_head_only() -> None:
    inside = [
        f"{name(path)}:{found.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for found in ast.walk(node)
        if isinstance(found, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_a_module_opens_with_a_sentence() -> None:
    written = [path for path in [*MODULES, *BED, *TESTS] if text(path).strip()]
    openings = {name(path): docstring(path).split("\n\n")[0].rstrip() for path in written}
    assert {path: said for path, said in openings.items() if not said.endswith((".", "!", "?", ":"))} == {}


def test_a_module_has_a_name_that_says_something() -> None:
    assert [name(path) for path in MODULES if path.stem in NAMES_OF_NOTHING] == []


def test_a_module_has_an_end() -> None:
    lines = {name(path): len(text(path).splitlines()) for path in MODULES}
    assert {path: number for path, number in lines.items() if number > LINES_MOST} == {}


def test_nothing_is_called_a_manager() -> None:
    words = ("Manager", "Helper", "Service", "Processor", "Utils")
    found = [
        f"{name(path)}: {node.name}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.ClassDef) and node.name.endswith(words)
    ]
    assert [each for each in found if "simulator" not in each] == []  # a Service is a word of Qiscus there

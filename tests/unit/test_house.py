"""The arrows of the house: who may import whom, who reads settings, how a module opens, how long it may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ("policies", "receiver", "routing", "db", "worker", "sidecar", "scripts")
ALONE = tuple(path.name for path in sorted(ROOT.glob("*.py")))
MODULES = [*(ROOT / each for each in ALONE), *(p for f in HOUSE for p in sorted((ROOT / f).rglob("*.py")))]
BED = sorted((ROOT / "testbed").rglob("*.py"))  # what tests, storms and benches stand on
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# folder → what its modules never import: processes talk through Redis, PostgreSQL and HTTP, not through one another.
FORBIDDEN = {
    "receiver": {
        "worker",
        "sidecar",
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
    "db": {"receiver", "worker", "sidecar", "scripts", "testbed", "flask", "aiohttp"},
    "worker": {"receiver", "sidecar", "scripts", "testbed", "flask", "aiohttp"},
    "sidecar": {"receiver", "worker", "scripts", "testbed", "flask"},
    "scripts": {"tests"},
    "testbed": {"tests"},
    "settings.py": {"receiver", "worker", "sidecar", "db", "scripts"},
    "logs.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings"},
    "stopping.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings", "logs"},
    "tenant_ids.py": {"receiver", "worker", "sidecar", "db", "scripts", "settings", "logs"},
}
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
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(node: ast.AST) -> Iterator[str]:
    """`from db import inbox` is `db` and `db.inbox`."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or "."
            yield from (f"{found.module}.{alias.name}" for alias in found.names)


def reaches(wanted: str, imports: set[str]) -> bool:
    return any(each == wanted or each.startswith(f"{wanted}.") for each in imports)


def test_the_house_was_found() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_the_arrows_point_one_way(folder: str) -> None:
    for path in [*MODULES, *BED]:
        if name(path) == folder or name(path).startswith(f"{folder}/"):
            imports = set(imported(tree(path)))
            assert [each for each in FORBIDDEN[folder] if reaches(each, imports)] == [], name(path)


def test_a_running_receiver_has_loaded_no_worker_and_no_database() -> None:
    """Also through others: what is imported counts, not what is written."""
    ask = "import sys, receiver.app, receiver.serving; print(sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"worker", "psycopg2", "scripts", "requests"} & set(ast.literal_eval(done.stdout))


def test_only_entry_points_read_settings() -> None:
    readers = {name(path) for path in MODULES if reaches("settings", set(imported(tree(path))))}
    assert {reader for reader in readers if not reader.startswith("scripts/")} == ENTRY_POINTS


def test_nobody_else_reads_the_environment() -> None:
    """The launcher and the admin tool hand it on to others, and look whether colours are wanted."""
    for path in MODULES:
        text = ast.unparse(tree(path))
        if "os.environ" in text or "getenv" in text:
            assert name(path) == "settings.py" or name(path).startswith("scripts/"), name(path)


def test_a_module_imports_at_its_head_only() -> None:
    inside = [
        f"{name(path)}:{found.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for found in ast.walk(node)
        if isinstance(found, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_a_module_opens_with_a_sentence() -> None:
    written = [path for path in [*MODULES, *BED, *TESTS] if path.read_text().strip()]
    openings = {name(path): (ast.get_docstring(tree(path)) or "").split("\n\n")[0].rstrip() for path in written}
    assert {path: said for path, said in openings.items() if not said.endswith((".", "!", "?", ":"))} == {}


def test_a_module_has_a_name_that_says_something() -> None:
    assert [name(path) for path in MODULES if path.stem in NAMES_OF_NOTHING] == []


def test_a_module_has_an_end() -> None:
    lines = {name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: number for path, number in lines.items() if number > LINES_MOST} == {}


def test_nothing_is_called_a_manager() -> None:
    words = ("Manager", "Helper", "Service", "Processor", "Utils")
    found = [
        f"{name(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(words)
    ]
    assert [each for each in found if "simulator" not in each] == []  # a Service is a word of Qiscus there

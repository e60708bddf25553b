"""The words against the code: README, docs, settings, Procfile, containers; names of SQL, Lua, jobs, commands.

Log words and terms have a test of their own, `test_terms.py`.
"""

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import settings
from db import inbox, tickets
from db.turn import Drift
from policies.policy import Seats
from scripts.launch import __main__ as launcher
from scripts.launch import procfile
from tests import metric_table
from tests.source import ROOT, code, docstring, last_name, nodes, strings, text
from tests.variants import each
from worker import choose

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
QISCUS = (ROOT / "docs/qiscus.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
EXAMPLE = ROOT / ".env.example"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PRODUCT = ("receiver", "routing", "db", "views", "worker", "sidecar")


@cache
def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def section(page: str, title: str) -> str:
    """The text of one `##` section of a page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert found, f"there is no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows but the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"^\|[-| ]+\|$", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


# --- settings


def example() -> dict[str, str]:
    return dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.M))


def test_the_example_names_every_setting_in_the_order_of_the_code() -> None:
    assert tuple(example()) == settings.NAMES


def test_each_line_of_the_example_has_a_sentence_of_its_own() -> None:
    lines = EXAMPLE.read_text().splitlines()
    at = [number for number, line in enumerate(lines) if re.match(r"^# [A-Z_]+=", line)]
    assert all(re.match(r"^# .*[.:]$", lines[number - 1]) for number in at)


@pytest.mark.parametrize("given", [{}, {"DATABASE_URL": "postgresql://somewhere/x"}], ids=["demo", "real"])
def test_the_example_with_every_line_switched_on_changes_nothing(given: dict[str, str], tmp_path: Path) -> None:
    switched_on = tmp_path / ".env"
    switched_on.write_text("".join(f"{name}={value}\n" for name, value in example().items()))
    assert settings.load(given, switched_on) == settings.load(given, None)


def test_the_table_names_every_setting_with_its_default() -> None:
    table = [row for row in rows(section(OPERATIONS, "Settings")) if row[0].startswith("`")]
    assert tuple(row[0].strip("`") for row in table) == settings.NAMES
    for name, default, sentence in table:
        expected = example()[name.strip("`")]
        assert default == f"`{expected}`" if expected else not re.fullmatch("`[^`]*`", default), name
        assert sentence.endswith("."), name


def test_the_table_of_policies_is_the_codes() -> None:
    told = [row[0].strip("`") for row in rows(section(QISCUS, "Policies")) if row[0].startswith("`")]
    assert sorted(told) == sorted(settings.POLICIES)


def test_limit_keys_are_told_as_they_are() -> None:
    told = [row[0].strip("`") for row in rows(section(QISCUS, "Limits")) if row[0].startswith("`")]
    assert told == [inbox.limit_key(), inbox.limit_key("<app_id>"), inbox.limit_key("<app_id>", "<agent>")]


# --- commands


def commands() -> Iterator[tuple[str, list[str]]]:
    for name, command in procfile.read(ROOT / "Procfile").items():
        yield f"Procfile {name}", command
    compose = (ROOT / "docker-compose.yml").read_text()
    for command in re.findall(r"^    command: (\[.*\])$", compose, re.M):
        yield "docker-compose.yml", json.loads(command)
    for command in re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M):
        yield "Dockerfile", json.loads(command)
    for command in re.findall(r"^\t(\./.*)$", (ROOT / "Makefile").read_text(), re.M):
        yield "Makefile", shlex.split(command)
    for command in re.findall(r"exec worker (scripts/\w+)", OPERATIONS):
        yield "docs/operations.md", [command]


@each(("where", "command"), list(commands()))
def test_every_command_exists(where: str, command: list[str]) -> None:
    if command[0] == "gunicorn":
        config, app = command[command.index("--config") + 1], command[-1]
        module, _, name = app.partition(":")
        assert (ROOT / config).is_file()
        assert callable(getattr(importlib.import_module(module), name.removesuffix("()")))
    elif command[:2] == ["python", "-m"]:
        spec = importlib.util.find_spec(command[2])
        assert spec, where
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"{command[2]}.__main__"), where
    elif command[0] != "valkey-server":
        assert os.access(ROOT / command[0], os.X_OK), (where, command[0])


def test_the_containers_run_what_the_procfile_runs() -> None:
    told = [command for where, command in commands() if where == "docker-compose.yml"]
    for name, command in procfile.read(ROOT / "Procfile").items():
        assert command in told, name


def test_the_processes_of_the_docs_are_the_procfiles() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(section(OPERATIONS, "The processes")) if len(row) == 4}
    for name, command in procfile.read(ROOT / "Procfile").items():
        assert shlex.split(told[name]) == command


def test_containers_start_after_what_they_need_and_have_time_to_stop() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    worker = compose[compose.index("\n  worker:") : compose.index("\n  receiver:")]
    assert "condition: service_completed_successfully" in worker
    assert "condition: service_healthy" in worker
    assert "chat:/app/var" in compose, "files that were sent outlast the container"
    assert '"5540:5540"' in compose or ":5540:5540" in compose
    assert "--appendonly" in compose


def test_a_stop_has_one_budget_everywhere_and_it_is_enough() -> None:
    """What a process takes at most, and what it is given by the launcher, by docker compose and by the docs."""
    compose = (ROOT / "docker-compose.yml").read_text()
    worker, sidecar = (importlib.import_module(f"{name}.__main__") for name in ("worker", "sidecar"))
    graceful = re.search(r"^graceful_timeout = (\d+)", (ROOT / "receiver/gunicorn.conf.py").read_text(), re.M)
    assert graceful
    takes = {
        "worker": worker.FINISH_S + worker.SETTLE_S,
        "sidecar": sidecar.STOP_S,
        "receiver": float(graceful[1]),
    }
    for name, takes_s in takes.items():
        given = re.search(rf"\n  {name}:\n.*?stop_grace_period: (\d+)s", compose, re.S)
        assert given and float(given[1]) == launcher.STOP_S[name], name
        assert launcher.STOP_S[name] >= takes_s + 5, name
    assert f"up to {takes['worker']:.0f} s: give it {launcher.STOP_S['worker']:.0f} s" in OPERATIONS


def test_no_secret_and_no_folder_of_data_gets_into_the_image() -> None:
    kept_out = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "var", ".git", ".venv"} <= set(kept_out)
    assert "POSTGRES_PASSWORD:-" not in (ROOT / "docker-compose.yml").read_text(), "a default is a secret for all"


def test_the_makefile_has_its_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"up", "run", "test", "help"} <= targets


def test_the_tickets_job_is_a_function() -> None:
    module, _, name = tickets.JOB.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def admin() -> click.Group:
    module = pytest.importorskip("scripts.admin.__main__")
    return module.giliran


def leaves(group: click.Group, before: str = "") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        path = f"{before} {name}".strip()
        found |= leaves(command, path) if isinstance(command, click.Group) else {path}
    return found


def test_the_docs_name_every_command_of_the_admin_tool() -> None:
    told = {words(row[0]) for row in rows(section(OPERATIONS, "The admin tool")) if row[0].startswith("`giliran")}
    assert told == leaves(admin())


def words(command: str) -> str:
    return " ".join(re.findall(r"\b[a-z]+\b", re.sub(r"[A-Z_]{2,}|\[.*?\]", "", command.strip("`"))[len("giliran") :]))


def test_no_page_names_a_command_that_is_not_there() -> None:
    known = leaves(admin())
    for page in PAGES:
        for told in spans(page.read_text()):
            for command in re.findall(r"\bgiliran ([a-z][a-z ]*)", told):
                assert any(command.strip() == leaf or command.startswith(f"{leaf} ") for leaf in known), (page, command)


def spans(text: str) -> list[str]:
    """What stands in backquotes, and the lines of blocks of code."""
    blocks = re.findall(r"^```.*?^```", text, re.M | re.S)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose) + [
        line.partition("#")[0] for block in blocks for line in block.splitlines()
    ]


# --- modules


def test_the_list_of_modules_is_complete_and_true() -> None:
    table = section(ARCHITECTURE, "The modules")
    listed = {target.rstrip("/") for target in re.findall(r"\]\(\.\./([\w./]+)\)", table)}
    there = {str(path.relative_to(ROOT)) for path in code(*PRODUCT) if path.name != "__init__.py"}
    there |= {path.name for path in ROOT.glob("*.py")} | {"policies"}
    there |= {str(path.parent.relative_to(ROOT)) for path in (ROOT / "scripts").glob("*/__init__.py")}
    assert listed == there


# --- metrics and logs


def test_the_docs_have_every_metric_with_its_labels_and_no_other() -> None:
    assert metric_table.in_docs() == metric_table.in_code()


def test_every_kind_of_drift_is_told() -> None:
    told = section(OPERATIONS, "Metrics").split("The kinds of drift:")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(Drift)


# --- SQL and Lua


LEDGER = ("line", "routing", "ledger", "refusals")
STATEMENTS = {
    path.stem.upper(): (path.stem,) for path in sorted((ROOT / "db/queries").glob("*.sql")) if path.stem not in LEDGER
}
STATEMENTS["LEDGER"] = LEDGER


def uses() -> Iterator[tuple[str, str]]:
    """Blocks that are named in a call, `CHAT.run(cur, "add", ...)`, or `turn.run("reserve", ...)` of the ledger."""
    for path in code(*PRODUCT, "scripts"):
        for node in nodes(path):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = last_name(node.func.value).strip("_")
            if owner == "turn" and node.func.attr in ("all", "one", "run"):
                yield from (("LEDGER", str(arg.value)) for arg in node.args[:1] if isinstance(arg, ast.Constant))
            elif owner in STATEMENTS:
                yield from ((owner, str(arg.value)) for arg in node.args[1:2] if isinstance(arg, ast.Constant))


def texts(variable: str) -> set[str]:
    """All texts of the modules that use these statements: a block may be named by a loop."""
    names = rf"\b{variable}\b|\bTurn\b" if variable == "LEDGER" else rf"\b{variable}\b"
    paths = [path for path in code(*PRODUCT, "scripts") if re.search(names, text(path))]
    return {said for path in paths for said in strings(path)}


def test_every_block_of_sql_that_is_named_exists_and_every_block_is_named() -> None:
    named = set(uses())
    for variable, files in STATEMENTS.items():
        written = "\n".join(text(ROOT / f"db/queries/{file}.sql") for file in files)
        found = re.findall(r"^-- name: (\w+)$", written, re.M)
        blocks = set(found)
        assert len(found) == len(blocks), variable
        assert {block for owner, block in named if owner == variable} <= blocks, variable
        assert blocks <= texts(variable), variable


def test_every_file_of_sql_has_its_statements() -> None:
    """Under the same name, so that the two tests above find them."""
    for variable, files in STATEMENTS.items():
        quoted = ", ".join(f'"{file}"' for file in files)
        made = f"{variable} = Statements({quoted})"
        assert any(made in text(path) for path in code(*PRODUCT)), made


def test_every_shared_part_of_sql_is_used_by_several_blocks() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "db/queries").rglob("*.sql"))
    for part in (ROOT / "db/queries/shared").glob("*.sql"):
        assert len(re.findall(rf"\${part.stem}\b", text)) > 1, part.name


def test_every_script_of_redis_is_used() -> None:
    assert {path.stem for path in (ROOT / "db/lua").glob("*.lua")} <= strings(ROOT / "db/inbox.py")


# --- pages


def targets(page: Path) -> set[str]:
    """Where a link into this page may point to."""
    text = page.read_text()
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        outside_code = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", outside_code):
            yield page, link


def test_every_link_leads_somewhere() -> None:
    assert [f"{page.name}: {link}" for page, link in links() if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("http://", "https://")):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in targets(target))


def test_every_hole_that_the_code_names_has_its_place_in_the_algorithm() -> None:
    there = targets(ROOT / "docs/algorithm.md")
    for path in code(*PRODUCT, "testbed", "tests"):
        for number in re.findall(r"\bH(\d+)\b", docstring(path)):
            assert f"h{number}" in there, path.name


def constants() -> dict[str, Any]:
    """All numbers with a name that the worker, the inbox and the ledger have, wherever they live."""
    paths = [*code("worker"), ROOT / "db/inbox.py", ROOT / "db/push.py", ROOT / "db/ledger.py"]
    modules = [importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
    return {name: value for module in modules for name, value in vars(module).items() if name.isupper()}


HAS = constants()
NUMBERS = {
    "docs/algorithm.md": {
        rf"threads, at most {HAS['TENANT_CALLS']} for one\s+tenant": "the pool",
        rf"at most {HAS['INBOX_BATCH']} inbox entries": "one batch",
        rf"the lease \({HAS['LEASE_S']:.0f} s\)": "the lease",
        rf"leaves {HAS['CALL_SECONDS']:.0f} s, the longest": "a request",
        rf"`DESK_LAG_SECONDS` ago \({HAS['ROSTER_LEAST_S']:.0f} s at least": "a roster's age",
        rf"not answered after {HAS['ROSTER_LEASE_S']:.0f} s": "a reader who hangs",
        rf"last {HAS['REMEMBER_S']:.0f} s": "how long a lower bound holds",
        rf"- {HAS['CIRCUIT_FAILURES']} failures in a row": "the circuit",
        rf"{HAS['PAUSE_MOST_S']:.0f} s at most, with jitter": "the longest pause",
        rf"after {HAS['ASIDE_S']:.0f} s for one more try": "aside",
        rf"at most {HAS['LOOKS_A_SWEEP']} each time": "looks of a sweep",
        rf"at most every {HAS['REWRITE_S']:.0f} s": "rewrites",
        rf"{HAS['UNSORTED_MOST']:,} entries, then 503": "unsorted",
        rf"ends after {HAS['TICKET_SECONDS']} s": "a ticket's flag",
        rf"again after {HAS['TROUBLE_S']:.0f} s, counts for nothing": "a look in trouble",
        rf"\(at most {HAS['RETRY_AFTER_MAX_S']:.0f} s\)": "Retry-After",
    },
    "docs/operations.md": {rf"at most {HAS['TENANT_CALLS']} calls of one tenant": "calls"},
    "docs/qiscus.md": {rf"at most {HAS['TENANT_CALLS']} calls of one tenant": "calls"},
    "docs/decisions.md": {
        rf"{HAS['INBOX_BATCH']} webhooks and {HAS['SEATS_BATCH']} seats": "batches",
        rf"{HAS['TENANT_CALLS']} calls of a tenant at once": "calls",
        rf"Lease {HAS['LEASE_S']:.0f} s, request at most {HAS['CALL_SECONDS']:.0f} s": "lease",
    },
}


@each(("page", "number"), [(page, n) for page, numbers in NUMBERS.items() for n in numbers])
def test_numbers_are_the_codes(page: str, number: str) -> None:
    assert re.search(number, (ROOT / page).read_text())


def test_every_test_that_a_page_names_is_there() -> None:
    tests = "\n".join(path.read_text() for path in code("tests"))
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert named and not [name for name in sorted(named) if f"def {name}(" not in tests]


def test_the_choosing_knows_every_policy() -> None:
    seat, room = Seats("1", 0, 1), choose.Waiting(1, "r", "", 1)
    for policy in settings.POLICIES:
        assert choose.choose([room], [seat], {"": frozenset({"1"})}, settings.POLICIES[policy], 1, {"": "1"}).picks


BANNED = ("TODO", "FIXME", "XXX", "lorem ipsum", "/home/", "/root/", "/Users/", "/work" + "/", "localhost:8000")


@each("page", [*PAGES, EXAMPLE, *(ROOT / n for n in ("Dockerfile", "docker-compose.yml", "Makefile"))])
def test_pages_hold_no_leftovers(page: Path) -> None:
    assert [word for word in BANNED if word.lower() in page.read_text().lower()] == []


def test_code_holds_no_leftovers() -> None:
    """Whole words only, and not this list."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b|/work" + r"/|/Users/")
    found = [
        str(path.relative_to(ROOT))
        for path in committed()
        if path.suffix in {".py", ".sql", ".lua", ".sh", ".js", ".toml", ".txt", ""}
        and path != Path(__file__).resolve()
        if pattern.search(path.read_text(errors="replace"))
    ]
    assert found == []

"""`giliran setup qiscus` beside a real receiver, a real worker, and a simulator that knows no webhooks yet."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from db import inbox
from scripts.admin.__main__ import giliran
from testbed.house import House, street
from testbed.installation import APP
from testbed.servers import free_port

SECRET = "odd+secret&with#signs%41"
REFUSES = {"fail_p": 1, "fail_kinds": ["403"]}


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[House]:
    with street(_databases, _redis_databases, IDLE_SECONDS="3600", WEBHOOK_SECRET=SECRET) as home:
        yield home


@pytest.fixture(autouse=True)
def forgetful(home: House) -> None:
    """No webhook leads to us: each is at an address that refuses."""
    home.sim.reset()
    for kind in ("agent_allocation", "mark_as_resolved"):
        form = {"webhook_url": "http://127.0.0.1:9/nowhere", "is_webhook_enabled": "true"}
        assert home.sim.qiscus("POST", f"/api/v1/app/webhook/{kind}", data=form).ok


def setup(home: House, *words: str, **env: str) -> Result:
    """In this process: one of its own for each costs half a second."""
    done = CliRunner().invoke(giliran, ["setup", "qiscus", *words], env={**home.env, **env}, catch_exceptions=False)
    assert SECRET not in done.output and "demo-secret" not in done.output
    return done


def public(home: House) -> str:
    return f"http://127.0.0.1:{home.env['PORT']}"


def hooks(home: House) -> dict[str, str]:
    return home.sim.state()["webhooks"]


def acts(home: House) -> list[tuple[str, str]]:
    return home.rows("SELECT subject, after->>'url' FROM audit WHERE what = 'setup qiscus' ORDER BY at, id")


def test_after_the_set_up_a_customer_has_an_agent_and_a_second_run_changes_nothing(home):
    tenant = home.first_tenant()
    before = hooks(home)
    dry = setup(home, "--public", public(home), "--dry-run")
    assert dry.exit_code == 0 and "would be registered" in dry.stdout, dry.stderr
    assert hooks(home) == before and acts(home) == []

    done = setup(home, "--public", f"{public(home)}/", "--yes")
    assert done.exit_code == 0 and done.stdout.endswith("done: both webhooks are registered\n"), done.stderr
    assert dict(acts(home)) == {
        "agent_allocation": f"{public(home)}/{APP}/allocate-agent/webhook",
        "mark_as_resolved": f"{public(home)}/{APP}/mark-as-solved/webhook",
    }
    (room,) = home.sim.add_customers(1)
    tenant.until_states(held=1)
    home.sim.resolve(room)
    tenant.until_states(held=0, closed=1)
    assert home.rows("SELECT DISTINCT room FROM visits") == [(room,)]  # no test made a room

    told = json.loads(setup(home, "--public", public(home), "--json").stdout)
    assert (told["webhooks"], told["put_tenant"]) == ([], False)
    again = setup(home, "--public", public(home))
    assert again.exit_code == 0 and again.stdout.endswith("done: nothing had to be changed\n"), again.stderr
    assert len(acts(home)) == 2


def test_where_qiscus_refuses_to_register_it_says_what_to_press(home):
    home.sim.faults(fail_on=["set_webhook"], **REFUSES)
    done = setup(home, "--public", public(home), "--yes")
    assert done.exit_code == 1 and "done:" not in done.stdout
    assert "Settings > Custom Agent Allocation" in done.stderr and "no page for it" in done.stderr
    assert "?secret=<WEBHOOK_SECRET>" in done.stderr and "# as %23" in done.stderr


def test_where_qiscus_lets_nobody_read_its_list_both_are_registered(home):
    home.sim.faults(fail_on=["webhooks"], **REFUSES)
    done = setup(home, "--public", public(home), "--yes")
    assert done.exit_code == 0 and "does not let a secret key read" in done.stdout, done.stderr
    assert hooks(home)["caa"] == f"{public(home)}/{APP}/allocate-agent/webhook"


@pytest.mark.parametrize(
    ("words", "env", "told"),
    [
        (["--public", "http://chat.example.com"], {}, "must start with https://"),
        (["--public", "ftp://chat.example.com"], {}, "must start with https://"),
        (["--public", f"http://127.0.0.1:{free_port()}"], {}, "can't be reached (no answer (ConnectionRefusedError))"),
        (["--public", "SIMULATOR"], {}, "not by our receiver"),
        (["--public", "OURS"], {"WEBHOOK_SECRET": "another-secret-0123"}, "runs with another WEBHOOK_SECRET"),
        (["--public", "OURS"], {}, "--yes agrees beforehand"),
        (["--public", "OURS"], {"WEBHOOK_SECRET": "", "DEMO": "0"}, "give --tenant"),
        (["--public", "OURS", "--tenant", APP], {"WEBHOOK_SECRET": "", "DEMO": "0"}, "  WEBHOOK_SECRET=<16 characters"),
        ([], {}, "give --public"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(home, words, env, told):
    before, places = hooks(home), {"OURS": public(home), "SIMULATOR": home.sim.url}
    done = setup(home, *(places.get(word, word) for word in words), **env)
    assert done.exit_code != 0 and told in done.stderr, done.stdout + done.stderr
    assert hooks(home) == before


def test_a_wrong_secret_key_is_refused_and_a_further_app_is_added_with_the_right_one(home, tmp_path):
    home.sim.control("POST", "apps", {"app_id": "second", "secret_key": "second-key"})
    key = tmp_path / "key"
    words = ("--tenant", "second", "--secret-file", str(key), "--public", public(home), "--yes")
    key.write_text("wrong-key")
    done = setup(home, *words)
    assert done.exit_code == 4 and "refuses these credentials" in done.stderr
    assert home.rows("SELECT id FROM tenants WHERE id = 'second'") == []
    key.write_text("second-key\n")
    done = setup(home, *words)
    assert done.exit_code == 0 and "second will be added" in done.stdout, done.stderr
    assert json.dumps(home.sim.of("second", "second-key").state()["webhooks"]).count("/second/") == 2
    own = tmp_path / "own"
    home.run("UPDATE tenants SET webhook_digest = %s WHERE id = 'second'", inbox.digest("of-the-second-alone"))
    for content, code, told in (("of-somebody-else", 4, "another webhook secret"), ("of-the-second-alone", 0, "")):
        own.write_text(content)
        done = setup(home, *words, "--webhook-secret-file", str(own))
        assert done.exit_code == code and told in done.stderr, done.stderr
    home.forget_tenants()

"""The simulator as a service sees it: over real sockets, with a real receiver of its webhooks."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from scripts.simulator.app import Plan
from scripts.simulator.server import start_in_thread
from testbed.simulated import Sim, simulator

PAYLOADS = (
    "app_id avatar_url candidate_agent email extras is_new_session is_resolved latest_service name room_id source"
)
ASSIGN = "/api/v1/admin/service/assign_agent"
ROSTER = "/api/v2/admin/service/available_agents"
ROOMS = "/api/v2/customer_rooms"
PAYLOAD_FILES = Path(__file__).resolve().parents[2] / "testbed" / "payloads"
DIVISIONS = "/api/v2/divisions"
MEMBERS = "/api/v2/admin/agents/by_division"
AGENTS = "/api/v2/admin/agents"
BY_IDS = "/api/v1/admin/agents/get_by_ids"


class Sink(ThreadingHTTPServer):
    """Takes webhooks and keeps them. `status` is what it answers."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.got: list[tuple[str, dict]] = []
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_port}"

    def rooms(self) -> list[str]:
        return [body.get("room_id") or body["service"]["room_id"] for _, body in list(self.got)]


class _Take(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, body))
        answer = b'{"status": "queued", "position": 3}'
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def running(sink: Sink) -> Iterator[Sim]:
    with simulator(webhooks=sink.url, page_size=3, more_apps=("second",)) as sim:
        yield sim


@pytest.fixture
def sim(running: Sim, sink: Sink) -> Sim:
    running.wait_until(lambda: running.state()["queued_webhooks"] == 0)
    running.reset()
    sink.got.clear()
    sink.status = 200
    return running


def assign(sim: Sim, room: str, agent: int, **more: object) -> requests.Response:
    return sim.qiscus("POST", ASSIGN, data={"room_id": room, "agent_id": agent, "max_agent": 1, **more})


def pages(sim: Sim, **query: object) -> list[dict]:
    rows, after = [], None
    while True:
        body = sim.qiscus("GET", ROSTER, params={**query, "cursor_after": after}).json()
        rows += body["data"]["agents"]
        after = body["meta"]["after"]
        if after is None:
            return rows


def recorded(name: str) -> dict:
    return json.loads((PAYLOAD_FILES / f"{name}.json").read_text())


def test_wrong_credentials_are_401(sim):
    answer = requests.get(f"{sim.url}{ROSTER}", headers={"Qiscus-App-Id": "demo-qiscus", "Qiscus-Secret-Key": "no"})
    assert (answer.status_code, answer.json()) == (401, {"errors": "Unauthorized"})


def test_a_rotated_secret_locks_the_old_one_out_until_it_is_known(sim):
    sim.control("POST", "secret", {"secret_key": "new"})
    assert sim.qiscus("GET", "/api/v1/admin/get_profile").status_code == 401
    assert Sim(sim.url, secret="new").qiscus("GET", "/api/v1/admin/get_profile").status_code == 200


def test_the_roster_comes_in_pages_with_the_offline_and_the_supervisors(sim):
    rows = pages(sim, limit=100)
    assert [row["type_as_string"] for row in rows].count("supervisor") == 1
    assert [row["is_available"] for row in rows if row["type"] == 2].count(False) == 1
    assert len({row["id"] for row in rows}) == 7


def test_the_roster_lists_only_who_serves_the_channel_of_the_room(sim):
    wa, widget = sim.add_customers(1, channel=131313)[0], sim.add_customers(1)[0]
    agent = sim.agents()[0]["id"]
    sim.only_channels(agent, [131313])
    assert agent in [row["id"] for row in pages(sim, room_id=wa)]
    assert agent not in [row["id"] for row in pages(sim, room_id=widget)]


def test_agents_in_the_room_are_listed_on_request(sim):
    room, agent = sim.add_customers(1)[0], sim.agents()[1]["id"]
    assert pages(sim, room_id=room, is_available_in_room="true") == []
    assign(sim, room, agent)
    assert [row["id"] for row in pages(sim, room_id=room, is_available_in_room="true")] == [agent]


def test_assign_takes_forms_and_json_and_says_no_like_the_real_one(sim):
    first, second = sim.add_customers(2)
    agent = sim.agents()[0]["id"]
    answer = assign(sim, first, agent)
    assert answer.json()["data"]["service"]["room_id"] == first
    again = sim.qiscus("POST", ASSIGN, json={"room_id": int(first), "agent_id": str(agent), "max_agent": 1})
    assert (again.status_code, again.json()) == (400, {"errors": "Cant join room, exceed max agents"})
    assert sim.qiscus("POST", ASSIGN, json={"room_id": second, "agent_id": agent, "max_agent": 1}).status_code == 200
    assert assign(sim, second, 1).status_code == 404
    assert [call["outcome"] for call in sim.history()["assign_calls"]] == ["200", "400", "200", "404"]


def test_a_room_posted_straight_at_the_receiver_can_be_assigned(sim):
    assert assign(sim, "57491250", sim.agents()[0]["id"]).status_code == 200
    assert "57491250" in sim.holders()


def test_the_legacy_answer_has_no_service_and_the_bare_roster_is_a_list(sim):
    sim.faults(legacy_assign=True, bare_array=True)
    room = sim.add_customers(1)[0]
    assert set(assign(sim, room, sim.agents()[0]["id"]).json()["data"]) == {"added_agent"}
    assert isinstance(sim.qiscus("GET", ROSTER).json()["data"], list)


def test_the_count_lags(sim):
    sim.faults(count_lag_s=60)
    agent = sim.agents()[0]["id"]
    assign(sim, sim.add_customers(1)[0], agent)
    assert [row["current_customer_count"] for row in pages(sim) if row["id"] == agent] == [0]
    sim.faults(count_lag_s=0)
    assert [row["current_customer_count"] for row in pages(sim) if row["id"] == agent] == [1]


def test_the_unserved_list_is_newest_first_in_pages_with_a_stale_row_sometimes(sim):
    rooms = sim.add_customers(60)
    gone = sim.add_customers(1)[0]
    sim.resolve(gone, by="admin")
    seen, stale, after = [], 0, None
    while True:
        body = {"serve_status": "unserved", "limit": 100, "cursor_after": after}
        answer = sim.qiscus("POST", ROOMS, json=body).json()
        rows = [row for row in answer["data"]["customer_rooms"] if row["is_waiting"] and not row["is_resolved"]]
        assert len(rows) <= 50
        seen += [row["room_id"] for row in rows]
        if (after := answer["meta"]["cursor_after"]) is None:
            break
    for _ in range(60):
        rows = sim.qiscus("POST", ROOMS, json={"serve_status": "unserved"}).json()["data"]["customer_rooms"]
        stale += gone in [row["room_id"] for row in rows]
    assert seen == rooms[::-1]
    assert 0 < stale < 60


def test_a_room_is_looked_up_by_its_id_late_if_wanted(sim):
    room = sim.add_customers(1)[0]
    assign(sim, room, sim.agents()[0]["id"])

    def waiting() -> bool:
        return sim.qiscus("GET", f"{ROOMS}/{room}").json()["data"]["customer_room"]["is_waiting"]

    assert waiting() is False
    sim.faults(room_lag_s=60)
    assert waiting() is True
    assert sim.qiscus("GET", f"{ROOMS}/nobody").status_code == 404


def test_an_arrival_and_a_resolve_are_posted_with_the_real_keys(sim, sink):
    room = sim.add_customers(1)[0]
    sim.wait_until(lambda: len(sink.got) == 1)
    service = sim.resolve(room, by="supervisor")
    sim.wait_until(lambda: len(sink.got) == 2)
    (caa_path, caa), (resolved_path, resolved) = sink.got
    assert (caa_path, resolved_path) == ("/allocate-agent/webhook", "/mark-as-solved/webhook")
    assert set(PAYLOADS.split()) <= set(caa)
    assert (resolved["service"]["id"], resolved["resolved_by"]["type"]) == (service, "supervisor")
    assert "room_id" not in resolved
    told = [e for e in sim.history(kinds="webhook")["events"] if e["hook"] == "caa"]
    assert [(e["outcome"], e["status"], e["position"]) for e in told] == [("200", "queued", 3)]


def test_customers_without_an_agent_are_announced_with_each_message(sim, sink):
    room = sim.add_customers(1)[0]
    sim.write_again(room)
    sim.wait_until(lambda: len(sink.got) == 2)
    assign(sim, room, sim.agents()[0]["id"])
    sim.write_again(room)
    other = sim.add_customers(1)[0]
    sim.wait_until(lambda: other in sink.rooms())
    assert sink.rooms() == [room, room, other]


def test_copies_drops_and_refusals_are_seen(sim, sink):
    sim.faults(webhook_copies=2, webhook_copy_gap_s=0.1)
    room = sim.add_customers(1)[0]
    sim.wait_until(lambda: sink.rooms() == [room, room])
    sim.faults(webhook_copies=1, webhook_drop_p=1)
    sim.add_customers(1)
    sim.faults(webhook_drop_p=0)
    sink.status = 503
    sim.add_customers(1)
    sim.wait_until(lambda: [e["outcome"] for e in webhooks(sim)] == ["200", "200", "dropped", "503"])


def webhooks(sim: Sim) -> list[dict]:
    return sim.history(kinds="webhook")["events"]


def test_a_retry_comes_only_when_switched_on(sim, sink):
    sink.status = 503
    sim.faults(webhook_retries=1)
    room = sim.add_customers(1)[0]
    sim.wait_until(lambda: sink.rooms() == [room, room])
    sim.wait_until(lambda: [e["attempt"] for e in webhooks(sim)] == [1, 2])


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [("429", 429, "errors"), ("500", 500, "errors"), ("502_html", 502, "<html>"), ("200_html", 200, "<html>")],
)
def test_a_failing_call_answers_as_chosen_and_applies_nothing(sim, kind, status, body):
    sim.faults(fail_next=1, fail_kinds=[kind], fail_on=["assign"])
    room = sim.add_customers(1)[0]
    answer = assign(sim, room, sim.agents()[0]["id"])
    assert (answer.status_code, body in answer.text) == (status, True)
    assert sim.waiting() == [room]
    assert assign(sim, room, sim.agents()[0]["id"]).status_code == 200


def test_retry_after_is_told_on_request(sim):
    sim.faults(fail_next=1, fail_kinds=["429_retry_after"], retry_after_s=7)
    assert sim.qiscus("GET", ROSTER).headers["Retry-After"] == "7"


@pytest.mark.parametrize(("kind", "applied"), [("reset_before", False), ("reset_after", True)])
def test_a_cut_connection_applies_before_or_not_at_all(sim, kind, applied):
    sim.faults(fail_next=1, fail_kinds=[kind])
    room, agent = sim.add_customers(1)[0], sim.agents()[0]["id"]
    with pytest.raises(requests.ConnectionError):
        assign(sim, room, agent)
    assert (room in sim.holders()) is applied
    assert sim.history()["assign_calls"][-1]["applied"] is applied


@pytest.mark.parametrize(("kind", "applied"), [("timeout_before", False), ("timeout_after", True)])
def test_a_timeout_keeps_the_caller_waiting(sim, kind, applied):
    sim.faults(fail_next=1, fail_kinds=[kind], hang_s=5)
    room = sim.add_customers(1)[0]
    with pytest.raises(requests.Timeout):
        sim.qiscus("POST", ASSIGN, timeout=0.3, json={"room_id": room, "agent_id": sim.agents()[0]["id"]})
    assert (room in sim.holders()) is applied


def test_chosen_rooms_are_always_refused(sim):
    bad, good = sim.add_customers(2)
    sim.faults(fail_rooms={bad: 404})
    agent = sim.agents()[0]["id"]
    assert [assign(sim, room, agent).status_code for room in (bad, bad, good)] == [404, 404, 200]


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_chosen_agents_are_always_refused_and_others_are_not(sim, status):
    first, second = sim.add_customers(2)
    bad, good = (agent["id"] for agent in sim.agents()[:2])
    sim.faults(fail_agents={str(bad): status})
    assert [assign(sim, first, bad).status_code, assign(sim, first, good).status_code] == [status, 200]
    channel = sim.state()["waiting"][0]["channel"]
    sim.faults(fail_agents={f"{bad}:{channel}": status})
    assert assign(sim, second, bad).status_code == status
    sim.faults(fail_agents={f"{bad}:0": status})
    assert assign(sim, second, bad).status_code == 200


def test_a_deleted_agent_is_listed_nowhere_and_can_be_given_nothing(sim):
    room = sim.add_customers(1)[0]
    gone = sim.agents()[0]["id"]
    sim.delete_agent(gone)
    assert assign(sim, room, gone).status_code == 404
    listed = sim.qiscus("GET", ROSTER, params={"room_id": room}).json()["data"]["agents"]
    assert listed and gone not in {agent["id"] for agent in listed}


def listed(sim: Sim, path: str, **query: object) -> tuple[list[dict], dict]:
    """All pages' rows, and the last page's meta."""
    rows, page = [], 1
    while True:
        body = sim.qiscus("GET", path, params={**query, "page": page}).json()
        rows += body["data"]
        if page >= body["meta"]["total_page"]:
            return rows, body["meta"]
        page += 1


def test_divisions_and_their_agents_are_listed_page_by_page_as_the_real_keys_have_them(sim):
    known = sim.divisions()
    assert {name: len(one["members"]) for name, one in known.items()} == {"Default": 1, "Jakarta": 4, "Bali": 4}
    rows, meta = listed(sim, DIVISIONS, limit=2)
    assert ([row["name"] for row in rows], meta) == (list(known), {"limit": 2, "page": 2, "total": 3, "total_page": 2})
    assert set(rows[0]) == set(recorded("api_divisions")["data"][0])
    members, _ = listed(sim, MEMBERS, **{"division_ids[]": known["Bali"]["id"], "limit": 100})
    assert [row["id"] for row in members] == known["Bali"]["members"]
    assert set(members[0]) == set(recorded("api_agents_by_division")["data"][0])
    both = [known["Bali"]["id"], known["Jakarta"]["id"]]
    offline, _ = listed(sim, MEMBERS, **{"division_ids[]": both, "is_available": "false"})
    assert [row["is_available"] for row in offline] == [False]
    assert listed(sim, MEMBERS, **{"division_ids[]": [77, "x"]}) == (
        [],
        {"limit": 3, "page": 1, "total": 0, "total_page": 0},
    )


def test_whoever_reads_the_history_knows_the_divisions_and_the_customers_of_every_instant(sim):
    agent = sim.agents()[0]["id"]
    night = sim.add_division("Night", agent)
    (room,) = sim.add_customers(1, email="ani@x.id", properties={"city": "Ubud", "tier": 7})
    sim.change_division(night, name="Late", members=[])
    sim.move(agent, sim.divisions()["Bali"]["id"], night)
    sim.delete_division(night)
    events = sim.history(kinds="division,arrived")["events"]
    assert [(e["name"], agent in e["members"], e["change"]) for e in events if e["kind"] == "division"] == [
        ("Default", False, "added"),
        ("Jakarta", True, "added"),
        ("Bali", False, "added"),
        ("Night", True, "added"),
        ("Late", False, "changed"),
        ("Jakarta", False, "changed"),
        ("Bali", True, "changed"),
        ("Late", True, "changed"),
        ("Late", True, "deleted"),
    ]
    (arrived,) = (e for e in events if e["kind"] == "arrived")
    assert (arrived["room"], arrived["email"], arrived["properties"]) == (room, "ani@x.id", {"city": "Ubud", "tier": 7})
    assert sim.agents()[0]["divisions"] == [sim.divisions()["Bali"]["id"]]


def test_what_is_known_of_a_customer_is_in_the_webhooks_extras(sim, sink):
    sim.add_customers(1, email="ani@x.id", properties={"city": "Ubud"})
    sim.add_customers(1)
    sim.wait_until(lambda: len(sink.got) == 2)
    given, made_up = sorted((body for _, body in sink.got), key=lambda body: body["email"] != "ani@x.id")
    assert json.loads(given["extras"])["user_properties"] == [{"key": "city", "value": "Ubud"}]
    assert json.loads(made_up["extras"])["user_properties"][0]["key"] == "city"


def test_agents_are_listed_by_their_ids_deleted_ones_too_and_all_of_them_with_or_without_counts(sim):
    first, second = (agent["id"] for agent in sim.agents()[:2])
    sim.delete_agent(second)
    rows = sim.qiscus("GET", BY_IDS, params={"ids[]": [second, first, 1]}).json()["data"]
    assert [(row["id"], bool(row["deleted_at"])) for row in rows] == [(second, True), (first, False)]
    assert set(rows[0]) == set(recorded("api_agents_by_ids")["data"][0])
    row = sim.qiscus("GET", AGENTS, params={"search": "budi"}).json()["data"]["agents"]
    assert row == []  # the deleted one
    body = sim.qiscus("GET", AGENTS, params={"search": "agent1@", "scope": "email"}).json()
    assert set(body["data"]["agents"][0]) == set(recorded("api_agents_list_v2")["data"]["agents"][0])
    sim.faults(listed_without_counts=True, nested_meta=True)
    body = sim.qiscus("GET", AGENTS, params={"page": 2}).json()
    assert len(body["data"]["agents"]) == 3 and body["data"]["meta"]["total_count"] == 6
    assert "current_customer_count" not in body["data"]["agents"][0]


def test_the_bot_is_kept_to_its_words_and_the_office_hours_can_be_changed(sim):
    (room,) = sim.add_customers(1)
    said = {"sender_email": "demo-qiscus_admin@qismo.com", "message": "Halo", "type": "text", "room_id": room}
    assert sim.qiscus("POST", "/demo-qiscus/bot", json=said).status_code == 200
    sim.faults(fail_next=1, fail_kinds=["500_after"], fail_on=["bot"])
    assert sim.qiscus("POST", "/demo-qiscus/bot", json=said).status_code == 500
    assert sim.said(room) == ["Halo", "Halo"] == sim.state()["waiting"][0]["said"]
    wrong = [{"room_id": "no"}, {"sender_email": "x"}, {"type": "file"}, {"message": ""}]
    assert [sim.qiscus("POST", "/demo-qiscus/bot", json=said | one).status_code for one in wrong] == [
        404,
        400,
        422,
        422,
    ]
    assert sim.qiscus("POST", "/second/bot", json=said).status_code == 400
    hours = sim.qiscus("GET", "/api/v1/admin/office_hours").json()
    assert set(hours["data"]["office_hours"][0]) == set(recorded("api_office_hours")["data"]["office_hours"][0])
    sim.control("PUT", "office_hours", {"timezone": "+08:00", "office_hours": []})
    assert sim.qiscus("GET", "/api/v1/admin/office_hours").json()["data"]["timezone"] == "+08:00"


def test_rooms_that_nobody_has_heard_of_can_be_unknown_everywhere(sim):
    sim.faults(unknown_refused=True)
    assert assign(sim, "never", sim.agents()[0]["id"]).status_code == 404
    assert sim.qiscus("GET", ROSTER, params={"room_id": "never"}).status_code == 404


def test_a_deleted_agent_keeps_the_chats_until_they_end_and_can_be_hired_again(sim):
    agent = sim.agents()[0]["id"]
    held, room = sim.add_customers(2)
    assert assign(sim, held, agent).status_code == 200
    sim.delete_agent(agent)
    assert sim.holders() == {held: [agent]}
    sim.resolve(held)
    sim.delete_agent(agent, False)
    assert assign(sim, room, agent).status_code == 200


@pytest.mark.parametrize(
    ("kind", "at_once", "at_last"), [("early", 1, 1), ("late", 0, 1), ("never", 0, 0), ("twice", 1, 1)]
)
def test_a_hanging_assign_is_done_at_once_late_or_never(sim, kind, at_once, at_last):
    sim.faults(hang_assign_p=1, hang_assign_kinds=[kind], hang_assign_from_s=0.6, hang_assign_to_s=0.6)
    room = sim.add_customers(1)[0]
    with pytest.raises(requests.Timeout):
        sim.qiscus("POST", ASSIGN, timeout=0.2, json={"room_id": room, "agent_id": sim.agents()[0]["id"]})
    assert len(sim.holders()) == at_once
    sim.wait_until(lambda: sim.history()["assign_calls"])
    call = sim.history()["assign_calls"][0]
    assert (len(sim.holders()), call["outcome"]) == (at_last, f"hang_{kind}")
    assert call["mono"] - call["began"] >= 0.6


def test_a_resolve_can_be_overtaken_by_the_next_arrival(sim, sink):
    sim.faults(resolved_delay_s=0.4)
    room = sim.add_customers(1)[0]
    sim.resolve(room)
    sim.write_again(room)
    sim.wait_until(lambda: len(webhooks(sim)) == 3)
    assert [event["hook"] for event in webhooks(sim)] == ["caa", "caa", "resolved"]


def test_latency_is_added(sim):
    sim.faults(latency_ms=200)
    began = time.monotonic()
    sim.qiscus("GET", ROSTER)
    assert time.monotonic() - began >= 0.2


def test_the_webhooks_are_set_over_the_api(sim, sink):
    url = f"{sink.url}/elsewhere"
    form = {"webhook_url": url, "is_webhook_enabled": "true"}
    answer = sim.qiscus("POST", "/api/v1/app/webhook/agent_allocation", data=form).json()
    assert answer["data"]["allocate_agent_webhook_url"] == url
    sim.add_customers(1)
    sim.wait_until(lambda: [path for path, _ in sink.got] == ["/elsewhere"])
    config = sim.qiscus("GET", "/api/v2/admin/webhook_config").json()["data"]["webhook_configs"]
    assert url in [row["url"] for row in config]


def test_two_apps_have_rooms_of_the_same_name_and_keep_them_apart(sim, sink):
    second = sim.of("second")
    second.reset()
    sim.add_customers(rooms=["7"])
    second.add_customers(rooms=["7"])
    assert assign(second, "7", second.agents()[0]["id"]).status_code == 200
    assert sim.waiting() == ["7"]
    assert second.waiting() == []
    sim.wait_until(
        lambda: {path for path, _ in sink.got} == {"/allocate-agent/webhook", "/second/allocate-agent/webhook"}
    )


def test_a_supervisor_may_go_over_any_limit_and_history_tells_the_highest_instant(sim):
    agent = sim.agents()[0]["id"]
    for room in sim.add_customers(4):
        sim.assign(room, agent)
    sim.resolve_all()
    history = sim.history(kinds="assigned")
    assert history["max_held"][str(agent)] == 4
    assert {event["by"] for event in history["events"]} == {"supervisor"}
    assert set(history["max_agents"].values()) == {1}


def test_chats_end_by_themselves_when_a_length_is_set(sim):
    room = sim.add_customers(1)[0]
    assign(sim, room, sim.agents()[0]["id"])
    sim.faults(auto_resolve_s=0.1)
    sim.wait_until(lambda: sim.holders() == {} and sim.state()["resolved_total"] == 1)


def test_the_live_stream_begins_with_the_state_and_goes_on_with_what_happens(sim):
    with requests.get(f"{sim.url}/control/events", stream=True, timeout=10) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(line for line in lines if line.startswith("event")) == "event: state"
        room = sim.add_customers(1)[0]
        happened = (json.loads(line[6:]) for line in lines if line.startswith("data: ["))
        assert any(event.get("room") == room for events in happened for event in events)


def test_a_foreign_page_can_not_press_buttons(sim):
    url = f"{sim.url}/control/customers"
    assert requests.post(url, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert requests.post(url, data="{}", headers={"Content-Type": "text/plain"}).status_code == 400
    assert sim.waiting() == []


def test_a_test_may_run_the_server_in_a_thread():
    with start_in_thread([Plan(agents=2, offline=0, supervisors=0)]) as running:
        sim = Sim(running.url)
        assert len(sim.agents()) == 2
        assert len(running.simulator.apps["demo-qiscus"].model.agents) == 2

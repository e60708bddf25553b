"""The table "which visit does a webhook mean?", row by row, and what holds for every combination."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.variants import each
from worker.visits import COPY_US, LAG_US, RESOLVED, WAITING, Arrived, Change, Closed, Resolved, Room, Visit, after

NOW = 1_700_000_000_000_000
EARLIER = NOW - 60_000_000


def visit(state="waiting", **about):
    about = {"id": 7, "room": "r", "state": state, "arrived_us": EARLIER, **about}
    return Visit(**about)


def room(closed_service=None, visit=None, with_service=None):
    return Room("r", closed_service, with_service, visit)


def came(room, latest=None, at_us=NOW):
    return after(room, Arrived("r", latest, "channel", "wa"), at_us)


def ended(room, service=None, first=None, at_us=NOW):
    return after(room, Resolved("r", service, first), at_us)


# A room needs an agent


def test_a_room_never_seen_is_a_new_visit_without_proof_and_without_a_question():
    change = came(room())
    new = change.room.visit
    assert (change.word, change.closed) == ("arrived", None)
    assert (new.id, new.state, new.arrived_us, new.channel, new.source) == (None, "waiting", NOW, "channel", "wa")
    assert (new.base, new.base_proved, new.look) == (None, False, False)


def test_a_room_never_seen_whose_payload_names_its_last_service_is_a_new_visit_with_proof():
    change = came(room(), latest=5)
    assert (change.room.closed_service, change.room.visit.base, change.room.visit.base_proved) == (5, 5, True)
    assert not change.room.visit.look


def test_the_same_last_service_twice_is_a_duplicate():
    first = came(room(), latest=5)
    second = came(first.room, latest=5, at_us=NOW + 1)
    assert (second.word, second.closed, second.room) == ("already_waiting", None, first.room)


@each("state", ["reserved", "held"])
def test_the_same_last_service_is_a_duplicate_once_an_agent_has_the_room(state):
    known = room(5, visit(state, base=5, base_proved=True))
    assert came(known, latest=5).room == known


def test_a_newer_service_closes_the_visit_whose_resolve_was_missed_and_opens_another():
    old = visit("waiting", base=5, base_proved=True)
    change = came(room(5, old), latest=6)
    assert change.closed == Closed(old, "resolve missed", 6)
    assert (change.room.closed_service, change.room.visit.base, change.room.visit.arrived_us) == (6, 6, NOW)
    assert change.room.visit.base_proved and change.room.visit.state == "waiting"


def test_the_last_service_that_we_saw_close_opens_a_new_visit():
    change = came(room(5, with_service=True), latest=5)
    assert (change.word, change.room.visit.base_proved, change.room.visit.look) == ("arrived", True, False)


@each("with_service", [False, None])
def test_the_last_service_after_a_close_that_named_none_is_asked_about(with_service):
    assert came(room(5, with_service=with_service), latest=5).room.visit.look


def test_an_older_service_is_not_dropped_before_the_desk_was_asked():
    change = came(room(5, with_service=True), latest=4)
    assert (change.word, change.room.visit.look, change.room.visit.base_proved) == ("arrived_stale", True, False)
    assert change.room.closed_service == 5


def test_no_last_service_is_no_proof_that_a_known_room_was_never_served():
    change = came(room(5, with_service=True))
    assert (change.word, change.room.visit.look, change.room.visit.base_proved) == ("arrived_unproved", True, False)


def test_no_last_service_after_a_resolve_that_named_none_is_asked_about():
    assert came(room(None, with_service=False)).room.visit.look


def test_no_last_service_for_a_visit_held_long_is_asked_about_and_keeps_its_seat():
    change = came(room(5, visit("held", settled_long_ago=True)))
    held = change.room.visit
    assert (change.word, held.state, held.look, held.suspect, held.again_us) == (
        "already_assigned",
        "held",
        True,
        WAITING,
        NOW,
    )


@each(("state", "long_ago"), [("held", False), ("reserved", False), ("reserved", True)])
@each("latest", [None, 4])
def test_a_webhook_soon_after_the_assignment_asks_nobody_and_is_remembered(state, long_ago, latest):
    known = room(5, visit(state, settled_long_ago=long_ago, base=5, base_proved=True))
    change = came(known, latest)
    kept = change.room.visit
    assert (change.word, kept.look, kept.suspect) == ("already_assigned", False, None)
    assert (kept.again_us, kept.again_latest) == (NOW, latest)


def test_of_copies_the_first_is_remembered_and_of_returns_the_last():
    held = room(None, visit("held", first_comment_id="c6"))
    first = came(held, at_us=NOW).room
    copy = came(first, at_us=NOW + COPY_US).room
    assert copy == first
    assert came(copy, at_us=NOW + 3 * COPY_US).room.visit.again_us == NOW + 3 * COPY_US


def test_a_webhook_that_overtook_the_resolve_opens_the_next_visit_at_its_own_time_the_desk_asked_first():
    overtook = came(room(None, visit("held", first_comment_id="c6"))).room
    change = ended(overtook, service=6, first="c6", at_us=NOW + 50_000)
    new = change.room.visit
    assert change.closed is not None
    assert (new.id, new.state, new.arrived_us, new.look, new.base, new.base_proved) == (
        *(None, "waiting", NOW, True),
        *(6, False),
    )


@each("state", ["waiting", "held"])
def test_a_duplicate_is_forgotten_when_no_resolve_follows_within_two_lags(state):
    known = room(5, visit(state, base=5, base_proved=True, again_us=NOW))
    assert ended(known, service=6, at_us=NOW + 2 * LAG_US).room.visit is not None
    assert ended(known, service=6, at_us=NOW + 2 * LAG_US + 1).room.visit is None


def test_a_customer_who_writes_on_while_the_room_waits_is_remembered_but_a_copy_of_the_first_webhook_is_not():
    waits = room(None, visit(arrived_us=NOW))
    assert came(waits, at_us=NOW + COPY_US).room == waits
    assert came(waits, at_us=NOW + COPY_US + 1).room.visit.again_us == NOW + COPY_US + 1


def test_a_waiting_visit_without_proof_that_learns_its_base_keeps_its_place():
    change = came(room(None, visit(look=True, suspect=RESOLVED)), latest=5)
    kept = change.room.visit
    assert (change.word, change.closed, kept.id, kept.arrived_us) == ("already_waiting", None, 7, EARLIER)
    assert (kept.base, kept.base_proved, kept.look, kept.suspect) == (5, False, False, None)


@each("proved", [True, False])
def test_a_visit_that_an_agent_has_asks_the_desk_when_a_newer_service_is_named(proved):
    change = came(room(None, visit("held", base_proved=proved)), latest=5)
    kept = change.room.visit
    assert (change.closed, kept.state, kept.look, kept.suspect, kept.again_us) == (None, "held", True, WAITING, NOW)


@each("proved", [True, False])
def test_a_newer_service_marks_a_visit_that_is_being_assigned_and_leaves_its_seat(proved):
    change = came(room(4, visit("reserved", base=4, base_proved=proved)), latest=5)
    kept = change.room.visit
    assert (change.closed, kept.state, kept.base, kept.base_proved) == (None, "reserved", 4, proved)
    assert (kept.suspect, kept.again_us, kept.again_latest, kept.look) == (WAITING, NOW, 5, False)
    assert change.room.closed_service == 5


def test_a_newer_service_ends_a_reservation_whose_call_was_surely_never_sent():
    old = visit("reserved", base=4, base_proved=True, unsent=True)
    change = came(room(4, old), latest=5)
    assert change.closed == Closed(old, "resolve missed", 5)
    assert (change.room.visit.state, change.room.visit.arrived_us) == ("waiting", NOW)


@each("latest", [None, 4, 5, 6])
def test_a_customer_who_writes_again_lifts_a_room_that_was_set_aside(latest):
    lifted = came(room(5, visit(aside=True)), latest=latest).room.visit
    assert not lifted.aside
    assert lifted.arrived_us == EARLIER


def test_a_webhook_that_comes_after_all_gives_a_room_learned_from_the_desk_its_true_arrival():
    first = came(room(5, visit(learned=True)), latest=5, at_us=NOW)
    again = came(first.room, latest=5, at_us=NOW + 1)
    assert (first.room.visit.learned, first.room.visit.arrived_us) == (False, NOW)
    assert again.room == first.room


# A service is over


def test_a_resolve_of_a_proved_visit_closes_it():
    held = visit("held", base=5, base_proved=True)
    change = ended(room(5, held), service=6)
    assert change.closed == Closed(held, "resolved", 6)
    assert change.room == room(6, None, with_service=True)


@each("about", [{}, {"state": "reserved", "unsent": True}], ids=["waiting", "never sent"])
def test_a_resolve_closes_a_proved_visit_that_nobody_answered_yet(about):
    assert ended(room(5, visit(base=5, base_proved=True, **about)), service=6).closed


@each("proved", [True, False])
@each("service", [6, None])
def test_a_resolve_marks_a_visit_that_is_being_assigned_and_leaves_its_seat(proved, service):
    """H14: the call may be applied after the resolve, when the customer is back."""
    change = ended(room(5, visit("reserved", base=5, base_proved=proved)), service=service, first="c6")
    kept = change.room.visit
    assert (change.word, change.closed, kept.state) == ("resolved_while_assigning", None, "reserved")
    assert (kept.suspect, kept.resolved_comment, kept.look) == (RESOLVED, "c6", False)
    assert change.room.closed_service == (service or 5)


def test_who_comes_back_while_the_call_for_the_earlier_stay_is_under_way_is_remembered():
    over = ended(room(5, visit("reserved", base=5, base_proved=True)), service=6, first="c6").room
    for latest in (None, 6):
        kept = came(over, latest=latest).room.visit
        assert (kept.state, kept.suspect, kept.again_us, kept.again_latest) == ("reserved", WAITING, NOW, latest)
        assert kept.resolved_comment == "c6"


def test_a_copy_of_the_webhook_that_opened_the_visit_is_not_taken_for_the_customers_return():
    over = ended(room(5, visit("reserved", base=5, base_proved=True)), service=6).room
    assert came(over, latest=5).room == over


def test_the_stay_of_who_came_back_is_over_as_well_by_its_own_resolve():
    """Resolved, back, resolved again, all while one call hangs."""
    over = ended(room(5, visit("reserved", base=5, base_proved=True)), service=6).room
    twice = ended(came(over, latest=6).room, service=7, first="c7").room
    assert (twice.visit.suspect, twice.visit.again_us, twice.closed_service) == (RESOLVED, None, 7)
    assert twice.visit.resolved_comment == "c7"
    back = came(twice, latest=7, at_us=NOW + 9).room.visit
    assert (back.suspect, back.again_us, back.again_latest) == (WAITING, NOW + 9, 7)


def test_a_resolve_that_was_overtaken_by_the_next_arrival_tells_how_to_know_its_stay():
    back = came(room(5, visit("reserved", base=5, base_proved=True)), latest=6).room
    change = ended(back, service=6, first="c6")
    assert (change.word, change.room.visit.resolved_comment, change.room.visit.suspect) == (
        "resolve_known",
        "c6",
        WAITING,
    )


def test_a_resolve_of_the_service_known_to_be_over_changes_nothing():
    known = room(5, visit("held", base=5, base_proved=True, first_comment_id="c"), with_service=True)
    change = ended(known, service=5, first="c")
    assert (change.word, change.room, change.closed) == ("resolve_known", known, None)


@each("state", ["held", "reserved"])
def test_a_resolve_of_an_earlier_service_while_an_agent_has_the_room_asks_the_desk(state):
    """The newest service may have been forged: then this one is the true one."""
    known = room(5, visit(state, base=5, base_proved=True), with_service=True)
    change = ended(known, service=4)
    assert (change.word, change.closed, change.room.closed_service) == ("resolve_stale", None, 5)
    assert change.room.visit.suspect == "resolved"


def test_a_resolve_of_an_earlier_service_changes_nothing_while_the_room_waits():
    known = room(5, visit("waiting", base=5, base_proved=True), with_service=True)
    assert ended(known, service=4) == Change(known, "resolve_known")


@each("closed", [None, 5, 112_233_445])
@each("service", [2**63 - 1, 2**62, 10**15])
@each("state", ["waiting", "reserved", "held"])
def test_a_service_id_that_jumps_is_believed_by_nobody_and_the_desk_is_asked(closed, service, state):
    known = room(closed, visit(state, base=closed, base_proved=True), with_service=True)
    change = ended(known, service=service)
    assert (change.word, change.closed, change.room.closed_service) == ("resolve_doubted", None, closed)
    assert change.room.visit.suspect == "resolved"
    assert ended(change.room, service=(closed or 0) + 1).room.closed_service == (closed or 0) + 1


def test_a_resolve_with_a_service_id_that_jumps_leaves_nothing_of_a_room_that_nobody_waits_in():
    assert ended(room(5), service=2**63 - 1) == Change(room(5), "resolve_doubted")


@each("state", [None, "waiting", "held"])
def test_an_arrival_with_a_service_id_that_jumps_closes_nothing(state):
    known = room(5, state and visit(state, base=5, base_proved=True, settled_long_ago=True), with_service=True)
    change = came(known, latest=2**63 - 1)
    assert (change.closed, change.room.closed_service) == (None, 5)
    assert change.room.visit.look is (state != "waiting"), "the desk knows whether it waits"


def test_an_arrival_of_an_older_service_says_what_the_newest_one_is_if_the_desk_agrees():
    change = came(room(2**40, with_service=True), latest=7)
    opened = change.room.visit
    assert (change.word, change.room.closed_service) == ("arrived_stale", 2**40)
    assert (opened.base, opened.base_proved, opened.look, opened.suspect) == (7, False, True, None)


def test_a_resolve_that_arrives_twice_does_not_close_the_customers_next_visit():
    """Hole (a): resolved, back five seconds later and held, then the second copy of the resolve."""
    first = ended(room(5, visit("held", base=5, base_proved=True)), service=6)
    back = came(first.room, latest=6)
    again = ended(back.room._replace(visit=back.room.visit._replace(state="held")), service=6)
    assert (again.word, again.closed, again.room.visit.state) == ("resolve_known", None, "held")


def test_a_late_webhook_after_the_resolve_opens_nothing_unasked():
    """Hole (b)."""
    over = ended(room(5, visit("held", base=5, base_proved=True)), service=6)
    assert came(over.room, latest=5).room.visit.look
    assert came(over.room).room.visit.look


def test_a_returning_customer_who_overtakes_the_resolve_is_no_duplicate():
    """Hole (c)."""
    change = came(room(5, visit("held", base=5, base_proved=True)), latest=6)
    late = ended(change.room, service=6)
    assert late.room.visit == change.room.visit
    assert late.word == "resolve_known"


def test_a_resolve_of_an_unproved_visit_closes_it_if_it_names_the_first_message():
    change = ended(room(None, visit("held", first_comment_id="c9")), service=6, first="c9")
    assert (change.word, change.closed.service, change.room.closed_service) == ("resolved", 6, 6)


@each(("ours", "theirs"), [("c9", "c8"), (None, None), (None, "c9"), ("c9", None)])
@each("state", ["waiting", "held"])
def test_any_other_resolve_of_an_unproved_visit_is_asked_about(state, ours, theirs):
    change = ended(room(None, visit(state, first_comment_id=ours)), service=6, first=theirs)
    kept = change.room.visit
    assert (change.word, change.closed, kept.look, kept.suspect) == ("resolve_unproved", None, True, RESOLVED)
    assert (kept.state, kept.again_us, change.room.closed_service) == (state, None, 6)


def test_a_resolve_that_names_no_service_is_never_believed_alone():
    held = visit("held", base=5, base_proved=True, first_comment_id="c")
    change = ended(room(5, held), service=None, first="c")
    assert (change.closed, change.room.visit.look, change.room.visit.suspect) == (None, True, RESOLVED)
    assert change.room.closed_service == 5


def test_a_resolve_without_a_visit_is_remembered():
    assert ended(room(), service=6).room == room(6, with_service=True)
    assert ended(room(5, with_service=True)).room == room(5, with_service=False)


# What the rules get wrong


@each("latest", [None, 5])
def test_duplicates_do_not_cost_a_returning_customer_the_place(latest):
    first = came(room(5, visit("held", settled_long_ago=True)), latest=latest)
    again = came(first.room, latest=latest, at_us=NOW + 20_000_000)
    assert again.room.visit.again_us == NOW


def test_a_returning_customer_under_question_survives_the_resolve_of_the_earlier_stay():
    """Held by c9; the customer is back (no last service named), then the resolve of the earlier stay arrives."""
    back = came(room(None, visit("held", settled_long_ago=True, first_comment_id="c9")))
    change = ended(back.room, service=6, first="c9")
    assert change.closed.visit.id == 7
    assert change.room.visit is not None
    assert (change.room.visit.arrived_us, change.room.visit.look) == (NOW, True)


def test_a_resolve_that_names_another_first_message_does_not_close_a_held_visit_unasked():
    """Service 6's webhook was late: the agent was put into service 7, which was open by then. Now 6's resolve comes."""
    change = ended(room(5, visit("held", base=5, base_proved=True, first_comment_id="c7")), service=6, first="c6")
    assert change.closed is None
    assert (change.room.visit.look, change.room.visit.suspect) == (True, RESOLVED)


def test_a_newer_service_does_not_take_a_seat_that_may_be_in_use():
    """Service 6 ended while it waited, 7 began; the agent was put into 7; only then comes 7's webhook. The chat in
    hand is 7: closing the visit frees a seat that is in use."""
    change = came(room(5, visit("held", base=5, base_proved=True, first_comment_id="c7")), latest=6)
    assert change.closed is None
    assert (change.room.visit.look, change.room.visit.suspect) == (True, WAITING)


def test_a_stale_webhook_does_not_prove_the_base_of_a_later_sessions_visit():
    """Service 5 waits (its webhook named no last service). A late webhook of 3 names 2; then the late resolve of 3."""
    waits = came(room()).room
    stale = came(waits, latest=2).room
    change = ended(stale, service=3, first="c3")
    assert change.closed is None


# Everything


ids = st.none() | st.integers(0, 6)
words = st.none() | st.sampled_from(["c1", "c2"])
visits = st.builds(
    Visit,
    id=st.none() | st.just(7),
    room=st.just("r"),
    state=st.sampled_from(["waiting", "reserved", "held"]),
    arrived_us=st.integers(0, NOW),
    base=ids,
    base_proved=st.booleans(),
    settled_long_ago=st.booleans(),
    first_comment_id=words,
    look=st.booleans(),
    suspect=st.sampled_from([None, RESOLVED, WAITING, "moved:9", "hidden"]),
    unsent=st.booleans(),
    again_us=st.none() | st.just(EARLIER),
    again_latest=ids,
    resolved_comment=words,
    aside=st.booleans(),
    learned=st.booleans(),
)
rooms = st.builds(
    Room,
    id=st.just("r"),
    closed_service=ids,
    closed_with_service=st.none() | st.booleans(),
    visit=st.none() | visits,
)
arrivals = st.builds(Arrived, st.just("r"), ids, st.just("channel"), st.just("wa"))
resolves = st.builds(Resolved, st.just("r"), ids, words)
webhooks = arrivals | resolves
ASKING = {"look", "suspect", "again_us", "again_latest", "resolved_comment"}


def told(visit, without):
    return None if visit is None else {k: v for k, v in visit._asdict().items() if k not in without}


@settings(max_examples=250, deadline=None)
@given(rooms, webhooks)
def test_every_combination_has_an_answer_that_keeps_the_books(before, webhook):
    change = after(before, webhook, NOW)
    now, was, closed = change.room.visit, before.visit, change.closed
    assert change.room.id == "r" and change.word
    assert (change.room.closed_service or 0) >= (before.closed_service or 0)
    assert (change.room.closed_service is None) <= (before.closed_service is None)
    if was is not None and was.state == "reserved" and not was.unsent:
        assert closed is None, "its call may still be applied"
    if closed is not None:  # only what was open is closed, and by a service that is known to be over
        assert closed.visit == was
        assert closed.service == change.room.closed_service is not None
        assert change.room.closed_with_service is True
    elif was is not None:  # an open visit stays, with its seat and its place
        assert now is not None
        assert (now.id, now.state, now.first_comment_id) == (was.id, was.state, was.first_comment_id)
        assert now.arrived_us == (NOW if was.learned and not now.learned else was.arrived_us)
    if now is not None and (was is None or closed is not None):
        if isinstance(webhook, Resolved):  # a webhook was under question when the room was resolved
            assert was is not None and (now.id, now.arrived_us, now.look) == (None, was.again_us, True)
        else:
            assert (now.id, now.state, now.arrived_us, now.aside) == (None, "waiting", NOW, False)
            assert (now.channel, now.source) == ("channel", "wa")
    if isinstance(webhook, Arrived):
        assert now is not None


@pytest.mark.long
@settings(max_examples=250, deadline=None)
@given(rooms, webhooks)
@example(Room("r", 5, None, visit("held", base_proved=False)), Arrived("r", 6))
def test_the_same_webhook_twice_in_a_row_changes_nothing_more_than_what_is_asked(before, webhook):
    once = after(before, webhook, NOW)
    twice = after(once.room, webhook, NOW + 1)
    assert twice.closed is None
    assert twice.room._replace(visit=None) == once.room._replace(visit=None)
    assert told(twice.room.visit, ASKING) == told(once.room.visit, ASKING)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(webhooks, st.sampled_from(["", "reserve", "hold"])), max_size=12))
def test_proof_is_only_ever_of_the_highest_service_known_when_it_was_given(story):
    """Whatever comes, in whatever order: a proved base is a service known to be closed, and no visit is lost."""
    known, opened, closed = Room("r"), 0, 0
    for at, (webhook, step) in enumerate(story):
        before = known
        change = after(before, webhook, NOW + at)
        known = change.room
        closed += change.closed is not None
        opened += known.visit is not None and (before.visit is None or change.closed is not None)
        assert opened - closed == (known.visit is not None)
        if known.visit is not None and known.visit.base_proved:
            assert known.visit.base <= known.closed_service
        if known.visit is not None and step:
            state = {"reserve": "reserved", "hold": "held"}[step]
            known = known._replace(visit=known.visit._replace(state=state, settled_long_ago=at % 2 == 0))


@settings(max_examples=150, deadline=None)
@given(rooms, resolves)
def test_a_resolve_opens_nothing(before, webhook):
    now = after(before, webhook, NOW).room.visit
    assert now is None or before.visit is not None


@settings(max_examples=150, deadline=None)
@given(rooms, webhooks)
def test_nothing_is_closed_without_proof_or_the_same_first_message(before, webhook):
    closed = after(before, webhook, NOW).closed
    if closed is not None and not closed.visit.base_proved:
        assert closed.visit.first_comment_id == webhook.first_comment_id is not None

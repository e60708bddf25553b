"""Names over REST and in PostgreSQL: whoever has one can start a chat with it and have an account."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import people
from db.people import AccountError, shown_name
from db.postgres import Ledger
from testbed.passwords import PASSWORD, hash_of
from tests.services.chat_of import TENANT, Chat, run_chat

SESSIONS = "/api/v1/public/sessions"
NAMES = {
    "\u0645\u0647\u062f\u06cc\u200c\u0632\u0627\u062f\u0647": "\u0645\u0647\u062f\u06cc\u200c\u0632\u0627\u062f\u0647",
    "\u0915\u094d\u200d\u0937\u092e\u093e": "\u0915\u094d\u200d\u0937\u092e\u093e",
    "\U0001f469\u200d\U0001f4bb Dev": "\U0001f469\u200d\U0001f4bb Dev",
    "Anne\u00a0Marie": "Anne Marie",
    "  Budi \u3000 Santoso ": "Budi Santoso",
}
BAD_NAMES = ["A\nni", "Ani\u202egpj", "\u200b", " ", "", "A\0ni"]


def test_a_customer_of_any_name_gets_into_the_line(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        for given_name, kept in NAMES.items():
            status, found = await at.post(SESSIONS, {"name": given_name, "email": "c@shop.example"})
            assert status == 201, (given_name, found)
            _, look = await at.get(f"{SESSIONS}/{found['session_key']}")
            assert look["customer"]["name"] == kept
        for name in BAD_NAMES:
            status, found = await at.post(SESSIONS, {"name": name, "email": "c@shop.example"})
            assert (status, found["error"]["code"]) == (400, "invalid_payload"), name
            says = "name: must be 1 to 100 characters that can be shown, on one line"
            assert found["error"]["message"] == says

    run_chat(database_url, redis_url, story)


def test_an_agent_of_any_name_can_have_an_account(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        for number, (given_name, kept) in enumerate(NAMES.items()):
            _add(chat.database_url, f"a{number}@example.com", given_name)
            ani = await at.colleague(f"a{number}")
            assert ani.name == kept
        for name in BAD_NAMES:
            with pytest.raises(AccountError, match="a name has 1 to 100 characters that can be shown, on one line"):
                _add(chat.database_url, "bad@example.com", name)

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_whatever_is_taken_for_a_name_can_be_stored(database_url: str) -> None:
    with closing(Ledger(database_url, "test")) as ledger:
        with ledger.transaction() as cur:
            cur.execute("INSERT INTO tenants (id, desk, base_url, secret_key) VALUES (%s, 'native', '', '')", (TENANT,))

        @settings(deadline=None)
        @given(st.text(max_size=120).map(shown_name).filter(bool))
        def stored(name: str) -> None:
            with ledger.transaction() as cur:
                agent = people.add_account(cur, TENANT, "ani@example.com", name, hash_of(PASSWORD))
                assert people.account(cur, TENANT, agent).name == name
                cur.connection.rollback()

        stored()


def _add(database_url: str, email: str, name: str) -> None:
    with closing(Ledger(database_url, "test")) as ledger, ledger.transaction() as cur:
        people.add_account(cur, TENANT, email, name, hash_of(PASSWORD))

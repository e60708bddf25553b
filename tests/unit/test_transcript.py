"""What a transcript says in plain text."""

from db import transcript


def test_who_asked_for_a_person_by_the_button_has_written_nothing() -> None:
    message = {
        "sender_type": "customer",
        "sender_name": "Maya",
        "created_at": "2026-01-31T09:30:00.000Z",
        "attachments": [],
    }
    head = {
        "session_id": "s",
        "customer": {"name": "Maya", "email": "maya@example.com"},
        "created_at": "",
        "rating": None,
    }
    messages = [{**message, "body": body} for body in ("/person", "A person, please")]
    told = transcript.as_text({**head, "ended_at": "", "complete": True, "messages": messages})
    assert told.splitlines()[-2:] == [
        "2026-01-31 09:30:00  * Maya asked for a person",
        "2026-01-31 09:30:00  Maya: A person, please",
    ]

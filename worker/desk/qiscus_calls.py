"""One call of Qiscus's API, from what is asked to its answer or error: the verbs of `qiscus.py` are made of them."""

from typing import Any

from worker.desk import qiscus_answers as answers
from worker.desk.base import DeskTrouble
from worker.desk.qiscus_answers import Answer, Ask
from worker.desk.qiscus_http import NoAnswer, Wire


class Calls:
    """Of one desk. May be shared by all threads."""

    def __init__(self, wire: Wire, secret_key: str, total_s: float) -> None:
        self._wire = wire
        self._secret = secret_key
        self._total_s = total_s

    def asked(self, ask: Ask, fields: dict[str, Any] | None, left_s: float) -> dict[str, Any]:
        """The JSON object of a success, within the time of a request and within `left_s`."""
        return answers.accepted(self._exchanged(ask, fields, left_s), ask, self._secret)

    def done(self, ask: Ask, fields: dict[str, Any]) -> None:
        """The same where success alone counts."""
        answers.said(self._exchanged(ask, fields, self._total_s), ask, self._secret)

    def _exchanged(self, ask: Ask, fields: dict[str, Any] | None, left_s: float) -> Answer:
        """GET sends the fields as a query, POST as JSON or as a form."""
        query, body = (fields, None) if ask.method == "GET" else (None, fields)
        form, body = (body, None) if ask.is_form else (None, body)
        total_s = min(left_s, self._total_s)
        try:
            return self._wire.exchange(ask.method, ask.path, query=query, body=body, form=form, total_s=total_s)
        except NoAnswer as error:
            raise DeskTrouble(f"{ask.verb}: {error}", maybe_applied=ask.changes and error.sent) from None

"""Pure: the webhooks of a Qiscus app that its API registers, and what its answers say of them. `qiscus.py` asks."""

from dataclasses import dataclass
from typing import Any

from worker.desk.qiscus_answers import Ask, broken, within

READ = Ask("webhooks", "GET", "/api/v2/admin/webhook_config")


@dataclass(frozen=True)
class Hook:
    """`kind`: as the API calls it. The fields are those of the app in the answer to a registration."""

    kind: str
    path: str  # at our receiver, after the app id
    url_field: str
    enabled_field: str

    @property
    def ask(self) -> Ask:
        return Ask(f"set {self.kind}", "POST", f"/api/v1/app/webhook/{self.kind}", changes=True, is_form=True)


ALLOCATION = Hook(
    kind="agent_allocation",
    path="/allocate-agent/webhook",
    url_field="allocate_agent_webhook_url",
    enabled_field="is_allocate_agent_webhook_enabled",
)
RESOLVED = Hook(
    kind="mark_as_resolved",
    path="/mark-as-solved/webhook",
    url_field="mark_as_resolved_webhook_url",
    enabled_field="is_mark_as_resolved_webhook_enabled",
)
HOOKS = (ALLOCATION, RESOLVED)


@dataclass(frozen=True)
class Registered:
    kind: str
    url: str
    is_active: bool


def registered(told: dict[str, Any]) -> list[Registered]:
    """Rows that can't be read are left out: their webhook counts as not registered."""
    rows = within(told, "data", "webhook_configs")
    if not isinstance(rows, list):
        raise broken(READ, "no list in the answer")
    return [one for one in map(_row, rows) if one]


def _row(row: object) -> Registered | None:
    kind, url = within(row, "type"), within(row, "url")
    if not isinstance(kind, str) or not isinstance(url, str):
        return None
    return Registered(kind, url, within(row, "is_active") is True)


def confirmed(told: dict[str, Any], hook: Hook, url: str) -> bool:
    """Whether the app in the answer has this address for the webhook, enabled."""
    app = within(told, "data")
    return within(app, hook.url_field) == url and within(app, hook.enabled_field) is True

"""The versions of a tenant's rules, and what another file would change. For `/ops`."""

from typing import Any

from psycopg2.extensions import cursor

from db.views import VIEWS
from routing.model import Rules
from views import plan, rulebook
from views.plan import Plan

VERSIONS_MOST = 50


def in_force(cur: cursor, tenant: str) -> dict[str, Any]:
    row = VIEWS.one(cur, "rules_in_force", tenant=tenant)
    versions = VIEWS.all(cur, "rule_files", tenant=tenant, most=VERSIONS_MOST)
    history = [{"version": v.version, "applied_at": v.applied_at, "applied_by": v.applied_by} for v in versions]
    about = {"version": row.version, "content": row.content, "applied_at": row.applied_at, "applied_by": row.applied_by}
    return {**about, "history": history}


def would_change(cur: cursor, tenant: str, rules: Rules) -> Plan:
    now, rooms = rulebook.in_force(cur, tenant), plan.rooms_of(cur, tenant, rules)
    return plan.plan(now.rules, rules, rooms, VIEWS.one(cur, "now").at)

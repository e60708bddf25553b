"""The JSON that Qiscus speaks, built from the model: answers for the API, payloads for the webhooks.

Pure. Field names and oddities (numbers beside strings, three ways to write a time) are those of the real one.
"""

import json
import time
from typing import Any

from scripts.simulator.divisions import Division
from scripts.simulator.faults import Faults
from scripts.simulator.model import CHANNELS, KINDS, Agent, Channel, Model, Room, Service

Json = dict[str, Any]
AVATAR = "https://cdn.example.com/avatar.png"
BORN = "2024-01-01T00:00:00Z"
BORN_S = 1_704_067_200.0


def iso(wall: float | None) -> str | None:
    return None if wall is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))


def spaced(wall: float | None) -> str | None:
    return None if wall is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall))


# --- people


def roster_agent(agent: Agent, divisions: list[Division], mono: float) -> Json:
    """One row of the agent lists. `mono` says of which moment the count is. Divisions are called roles there."""
    return {
        "avatar_url": None,
        "created_at": BORN,
        "current_customer_count": agent.counts.at(mono),
        "email": agent.email,
        "force_offline": False,
        "id": agent.id,
        "is_available": agent.online,
        "is_req_otp_reset": None,
        "last_login": BORN if agent.online else None,
        "name": agent.name,
        "sdk_email": f"abcde_{agent.email}",
        "sdk_key": "sdk-key-example",
        "type": agent.kind,
        "type_as_string": KINDS[agent.kind],
        "user_channels": [{"id": c.id, "name": c.name} for c in _channels(agent)],
        "user_roles": [{"id": one.id, "name": one.name} for one in divisions],
    }


def _channels(agent: Agent) -> list[Channel]:
    return [c for c in CHANNELS.values() if agent.serves(c.id)]


def division_member(agent: Agent, divisions: list[Division], mono: float) -> Json:
    """The same without two fields, as the list of a division's agents has it."""
    row = roster_agent(agent, divisions, mono)
    return {name: value for name, value in row.items() if name not in ("created_at", "is_req_otp_reset")}


def v1_agent(agent: Agent, mono: float) -> Json:
    """A row of the list by ids, which is of an older make: it also names who was deleted."""
    return {
        **modern_agent(agent),
        "created_at": spaced(BORN_S),
        "updated_at": spaced(BORN_S),
        "avatar_url": AVATAR,
        "app_id": 1001,
        "deleted_at": spaced(BORN_S) if agent.deleted else None,
        "current_customer_count": agent.counts.at(mono),
        "assigned_rules": [],
    }


def modern_agent(agent: Agent) -> Json:
    """The 14 fields of `candidate_agent` and `added_agent`."""
    return {
        "avatar_url": None,
        "created_at": "2024-01-12T01:24:18",
        "email": agent.email,
        "force_offline": False,
        "id": agent.id,
        "is_available": agent.online,
        "is_verified": False,
        "last_login": BORN if agent.online else None,
        "name": agent.name,
        "sdk_email": f"abcde_{agent.email}",
        "sdk_key": "sdk-key-example",
        "type": agent.kind,
        "type_as_string": KINDS[agent.kind],
        "updated_at": "2024-01-12T14:29:18",
    }


def legacy_agent(agent: Agent) -> Json:
    """The old form. It carries credentials, as the real one did: nobody may log it."""
    return {
        **modern_agent(agent),
        "authentication_token": "token-example",
        "created_at": "2018-10-11 10:01:27",
        "updated_at": "2019-02-04 04:49:47",
        "avatar_url": AVATAR,
        "app_id": 1,
        "notifications_room_id": "1692312",
        "bubble_color": "#666666",
        "qismo_key": "qismo-key-example",
        "direct_login_token": None,
        "deleted_at": None,
        "assigned_rules": ["fb_messaging", "qiscus_messaging"],
    }


def suggested_agent(agent: Agent, mono: float) -> Json:
    return {
        "id": agent.id,
        "name": agent.name,
        "sdk_email": f"abcde_{agent.email}",
        "email": agent.email,
        "sdk_key": "sdk-key-example",
        "type": agent.kind,
        "is_available": agent.online,
        "avatar_url": None,
        "is_verified": False,
        "force_offline": False,
        "count": agent.counts.at(mono),
    }


def division(found: Division) -> Json:
    return {
        "app_id": 1001,
        "created_at": spaced(BORN_S),
        "id": found.id,
        "is_default_role": found.is_default,
        "name": found.name,
        "updated_at": spaced(BORN_S),
    }


# --- rooms and services


def room_row(room: Room, view: tuple[bool, bool] | None = None) -> Json:
    waiting, resolved = view or (room.waiting, room.resolved)
    seen = iso(room.last_customer)
    return {
        "channel_id": room.channel.id,
        "contact_id": 7_000_000 + room.number,
        "id": room.number,
        "is_calling": False,
        "is_handled_by_bot": False,
        "is_resolved": resolved,
        "is_waiting": waiting,
        "last_comment_sender": room.user_id,
        "last_comment_sender_type": "customer",
        "last_comment_text": "hello",
        "last_comment_timestamp": seen,
        "last_customer_comment_text": None,
        "last_customer_timestamp": seen,
        "name": room.name,
        "room_badge": None,
        "room_id": room.id,
        "room_type": "group",
        "source": room.channel.source,
        "user_avatar_url": AVATAR,
        "user_id": room.user_id,
    }


def assign_answer(room: Room, agent: Agent, faults: Faults) -> Json:
    if faults.legacy_assign:
        return {"data": {"added_agent": legacy_agent(agent)}}
    retrieved = iso(room.assigned.wall if room.assigned else None)
    service = {
        "created_at": iso(room.arrived.wall),
        "first_comment_id": str(room.first_comment),
        "first_comment_timestamp": None,
        "is_resolved": False,
        "last_comment_id": str(room.last_comment),
        "notes": None,
        "resolved_at": None,
        "retrieved_at": retrieved,
        "room_id": room.id,
        "updated_at": retrieved,
        "user_id": agent.id,
    }
    meta = {"after": None, "before": None, "per_page": 0, "total_count": 0}
    return {"data": {"added_agent": modern_agent(agent), "service": service}, "meta": meta, "status": 200}


def resolve_answer(room: Room, service: Service, by: Agent) -> Json:
    return {
        "data": {
            "service": {
                "notes": service.notes,
                "is_resolved": True,
                "resolved_at": _php_time(service.resolved),
                "user_id": service.user_id,
                "app_id": 1001,
                "room_log_id": room.number,
                "room_id": room.id,
                "retrieved_at": _php_time(service.retrieved),
                "first_comment_id": str(service.first_comment),
                "last_comment_id": str(service.last_comment),
                "updated_at": spaced(service.resolved),
                "created_at": spaced(service.resolved),
                "id": service.id,
                "user": legacy_agent(by),
            },
            "room_info": {
                "room": {
                    "room_avatar_url": AVATAR,
                    "room_channel_id": "channel-uid-example",
                    "room_id": room.id,
                    "room_name": room.name,
                    "room_options": json.dumps(_options(room), separators=(",", ":")),
                    "room_type": "group",
                }
            },
        }
    }


def _php_time(wall: float | None) -> Json | None:
    return None if wall is None else {"date": f"{spaced(wall)}.000000", "timezone_type": 3, "timezone": "UTC"}


def _options(room: Room) -> Json:
    return {
        "channel": room.channel.source,
        "channel_details": {"channel_id": room.channel.id, "name": room.channel.name},
        "is_resolved": room.resolved,
        "is_waiting": room.waiting,
        "source": room.channel.source,
    }


# --- webhooks


def caa(app_id: str, model: Model, room: Room, faults: Faults, mono: float) -> Json:
    """Custom Agent Allocation. `is_resolved` is the state left by the previous stay, not the room's present one."""
    suggested = None if faults.null_candidate else model.candidate(room.channel.id, mono - faults.count_lag_s)
    payload: Json = {
        "app_id": app_id,
        "avatar_url": AVATAR,
        "candidate_agent": modern_agent(suggested) if suggested else None,
        "email": room.user_id,
        "extras": extras(room),
        "is_new_session": room.messages == 1,
        "is_resolved": room.latest is not None,
        "latest_service": latest_service(room.latest) if room.latest and not faults.null_latest_service else None,
        "name": room.name,
        "room_id": room.id,
        "source": room.channel.source,
    }
    return {**payload, **_newer(app_id, room, faults)}


def extras(room: Room) -> str:
    """JSON within JSON, as the real one has it."""
    known = {
        "additional_extras": {"timezone_offset": 7},
        "notes": None,
        "timezone_offset": None,
        "user_properties": [{"key": key, "value": value} for key, value in room.properties.items()],
    }
    return json.dumps(known, separators=(",", ":"))


def latest_service(service: Service) -> Json:
    return {
        "id": service.id,
        "user_id": service.user_id,
        "room_log_id": service.id - 1,
        "app_id": 1001,
        "room_id": service.room,
        "notes": service.notes,
        "resolved_at": spaced(service.resolved),
        "is_resolved": True,
        "created_at": spaced(service.started),
        "updated_at": spaced(service.resolved),
        "first_comment_id": str(service.first_comment),
        "last_comment_id": str(service.last_comment),
        "retrieved_at": spaced(service.retrieved),
        "first_comment_timestamp": None,
    }


def resolved(app_id: str, room: Room, service: Service, by: Agent, faults: Faults) -> Json:
    """Mark As Resolved. No room id at the top, and without the newer fields no app id at all."""
    last: int | str = service.last_comment if faults.last_comment_int else str(service.last_comment)
    payload: Json = {
        "customer": {"additional_info": [], "avatar": AVATAR, "name": room.name, "user_id": room.user_id},
        "resolved_by": {
            "email": by.email,
            "id": by.id,
            "is_available": by.online,
            "name": by.name,
            "type": KINDS[by.kind],
        },
        "service": {
            "first_comment_id": str(service.first_comment),
            "id": service.id,
            "is_resolved": True,
            "last_comment_id": last,
            "notes": service.notes,
            "room_id": room.id,
            "source": room.channel.source,
        },
    }
    return {**payload, **_newer(app_id, room, faults)}


def _newer(app_id: str, room: Room, faults: Faults) -> Json:
    if not faults.payload_channel:
        return {}
    channel = {"id": room.channel.id, "name": room.channel.name, "source": room.channel.source}
    return {"app_code": app_id, "channel": channel}


# --- the app's settings

OFFICE_DAYS = range(1, 6)  # Sunday is 0


def office_hours() -> Json:
    """As at the start: Monday to Friday."""
    rows = [
        {
            "id": day,
            "app_id": 1001,
            "day": day,
            "starttime": "09:00",
            "endtime": "17:00",
            "created_at": spaced(BORN_S),
            "updated_at": spaced(BORN_S),
        }
        for day in OFFICE_DAYS
    ]
    return {
        "online_message": None,
        "offline_message": None,
        "timezone": "+07:00",
        "send_online_if_resolved": False,
        "send_offline_each_message": False,
        "office_hours": rows,
    }

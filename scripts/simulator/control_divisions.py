"""The control half's actions on divisions and office hours; `control` has their routes and all other actions."""

from scripts.simulator.app import now
from scripts.simulator.asked import Asked
from scripts.simulator.divisions import Divisions
from scripts.simulator.refused import Refused
from scripts.simulator.shapes import Json
from scripts.simulator.told import division_told


def add(asked: Asked) -> Json:
    name = asked.name()
    if name is None:
        raise Refused(400, "name: a text")
    return division_told(_known(asked).add(now(), name, _members(asked) or ()))


def change(asked: Asked) -> Json:
    return division_told(_known(asked).change(now(), asked.division, asked.name(), _members(asked)))


def remove(asked: Asked) -> Json:
    _known(asked).remove(now(), asked.division)
    return {}


def join(asked: Asked, agent: int, *, hired: bool = False) -> None:
    """Where divisions are named: these and no others. Who is hired into none has the default one."""
    wanted = asked.ids("divisions")
    if wanted is None and hired:
        wanted = [one.id for one in _known(asked).all() if one.is_default]
    if wanted is not None:
        _known(asked).move(now(), agent, wanted)


def set_office_hours(asked: Asked) -> Json:
    hours = asked.body.get("office_hours")
    if hours is not None and not isinstance(hours, list):
        raise Refused(400, "office_hours: a list of {day, starttime, endtime}")
    given = {"timezone": asked.text("timezone"), "office_hours": hours}
    asked.app.office_hours |= {name: value for name, value in given.items() if value is not None}
    return asked.app.office_hours


def _known(asked: Asked) -> Divisions:
    return asked.app.model.divisions


def _members(asked: Asked) -> list[int] | None:
    ids = asked.ids("members")
    return None if ids is None else [asked.app.model.agent(id_, deleted_too=True).id for id_ in ids]

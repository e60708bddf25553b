"""How much room the disk of GILIRAN_DATA has."""

import shutil
from pathlib import Path
from typing import NamedTuple

from scripts.admin.doctor.facts.at_once import CantRead


class Disk(NamedTuple):
    folder: str
    free_bytes: int


def read(folder: Path) -> Disk:
    """Of the nearest folder that is there: a new installation has none yet. Raises `CantRead`."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        return Disk(str(folder), shutil.disk_usage(there).free)
    except OSError as error:
        raise CantRead(f"{folder} can't be read ({error.strerror})") from error

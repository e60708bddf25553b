"""The disk of GILIRAN_DATA: files that people send, and the embedded servers. Pure."""

from scripts.admin.doctor.check import Check, Finding
from scripts.admin.doctor.facts.at_once import Unread
from scripts.admin.doctor.facts.disk import Disk

SPACE = Check("disk", "the disk of GILIRAN_DATA has room", "make room, or move GILIRAN_DATA to a larger disk")
CHECKS = (SPACE,)

SPARE_BYTES, FEW_LEFT = 512 * 2**20, 4  # as the sidecar has them: a test holds them equal
MB = 2**20


def judge(found: Disk | Unread) -> Finding:
    if isinstance(found, Unread):
        return SPACE.warning(found.why)
    told = f"{found.free_bytes // MB:,} MiB free in {found.folder}"
    if found.free_bytes < SPARE_BYTES:
        return SPACE.error(f"{told}: no file is taken")
    return SPACE.warning(f"nearly full: {told}") if found.free_bytes < FEW_LEFT * SPARE_BYTES else SPACE.ok(told)

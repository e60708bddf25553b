"""What the receiver's processes have counted, in memory that they share. No file: a full disk costs no webhook, and two
receivers never meet.

gunicorn.conf.py gives each process a slot of its own before it is forked; a slot that is given again goes on from its
figures. health.py adds all slots up.
"""

import mmap
import os
import struct
from collections import Counter
from collections.abc import Iterator

SLOTS = 64  # processes at once; those beyond share the first slot, and may lose a count
SLOT_BYTES = 256 * 1024  # some two thousand figures; taken from the system only where it is written

SIZE = struct.Struct("Q")  # of a slot: bytes in use, then its process; of an entry: bytes of its key
HEAD_BYTES = 2 * SIZE.size
FIGURE = struct.Struct("d")

Key = tuple[str, ...]  # the figure's name, then its labels


class Board:
    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SLOTS * SLOT_BYTES)
        self._free = list(range(SLOTS - 1, 0, -1))
        self.use(0)

    def reserve(self) -> int:
        """A slot for a process that will be forked."""
        return self._free.pop() if self._free else 0

    def release(self, slot: int) -> None:
        """Its process has ended; the figures stay."""
        if slot:
            SIZE.pack_into(self._memory, slot * SLOT_BYTES + SIZE.size, 0)
            self._free.append(slot)

    def use(self, slot: int) -> None:
        """What this process counts goes there from now on."""
        self._start = slot * SLOT_BYTES
        SIZE.pack_into(self._memory, self._start + SIZE.size, os.getpid())
        self._places = dict(self._entries(slot))

    def add(self, key: Key, amount: float = 1) -> None:
        place = self._places.get(key) or self._new(key)
        if place:
            (figure,) = FIGURE.unpack_from(self._memory, place)
            FIGURE.pack_into(self._memory, place, figure + amount)

    def pids(self) -> list[int]:
        """Of the processes that have a slot; the first one's is that of the process that forks the others."""
        found = (SIZE.unpack_from(self._memory, slot * SLOT_BYTES + SIZE.size)[0] for slot in range(SLOTS))
        return [pid for pid in found if pid]

    def totals(self) -> dict[Key, float]:
        found: Counter[Key] = Counter()
        for slot in range(SLOTS):
            for key, place in self._entries(slot):
                found[key] += FIGURE.unpack_from(self._memory, place)[0]
        return dict(found)

    def _new(self, key: Key) -> int:
        """The place of a figure that starts at zero; 0: no room is left, it is not counted."""
        name = "\0".join(key).encode()
        name += b"\0" * (-len(name) % SIZE.size)  # so that figures stand where one store writes them
        used = self._used(self._start)
        entry = SIZE.pack(len(name)) + name + FIGURE.pack(0)
        if used + len(entry) > SLOT_BYTES:
            return 0
        self._memory[self._start + used : self._start + used + len(entry)] = entry
        SIZE.pack_into(self._memory, self._start, used + len(entry))  # last: readers see whole entries only
        place = self._places[key] = self._start + used + len(entry) - FIGURE.size
        return place

    def _used(self, start: int) -> int:
        return max(HEAD_BYTES, SIZE.unpack_from(self._memory, start)[0])

    def _entries(self, slot: int) -> Iterator[tuple[Key, int]]:
        start = slot * SLOT_BYTES
        at, end = start + HEAD_BYTES, start + self._used(start)
        while at < end:
            (length,) = SIZE.unpack_from(self._memory, at)
            place = at + SIZE.size + length
            name = self._memory[at + SIZE.size : place].rstrip(b"\0")
            yield tuple(name.decode().split("\0")), place
            at = place + FIGURE.size


BOARD = Board()

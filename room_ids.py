"""What may be a room's id: the one grammar for receiver, worker and both desks."""

import re

ROOM_DIGITS = 64  # of one that is given as a whole number
ROOM_ID = re.compile(rf"[!-~]{{1,{ROOM_DIGITS}}}")

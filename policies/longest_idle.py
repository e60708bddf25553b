"""The agent for whom nothing has happened for the longest: no chat was given to them, and none of theirs has ended.

Unlike `round_robin`, who has just finished a long chat has a moment's rest, though it was given to them long ago. What
ended longer ago than the window counts no more: then it is by who was served longest ago, as there.
"""

from collections.abc import Sequence
from typing import Any

from policies import round_robin
from policies.policy import Policy

# Bounded, whatever the history holds: newest first by the index of closed visits. `now()`, the transaction's beginning:
# an index can't be asked with `clock_timestamp()`, which moves while it is read, so all closed visits would be.
ENDED = """LEFT JOIN (SELECT last_agent, max(closed_at) AS ended_at
                   FROM (SELECT last_agent, closed_at FROM visits
                          WHERE tenant = %(tenant)s AND state = 'closed'
                            AND closed_at > now() - interval '15 min'
                          ORDER BY closed_at DESC LIMIT 5000) recent
                  GROUP BY last_agent) e ON e.last_agent = a.id"""


def why(decision: Any, able: Sequence[Any]) -> str:
    return f"{decision.agent} was idle for the longest since a chat began or ended"


POLICY = Policy("longest_idle", round_robin.key, why, since="greatest(last_assigned_at, e.ended_at)", join=ENDED)

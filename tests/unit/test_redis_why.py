"""What Redis's errors mean: a sentence for each, and nothing of a URL, a value or a password in it."""

from redis import exceptions

from db import redis_why
from tests.variants import each

TOLD = {
    "invalid username-password pair or user is disabled.": "Redis refuses the password: correct REDIS_URL",
    "Authentication required.": "Redis refuses the password: correct REDIS_URL",
    "OOM command not allowed when used memory > 'maxmemory'. script: 01ab, on @user_script:3.": "Redis is full",
    "You can't write against a read only replica.": "Redis is a read-only replica",
    "Redis is loading the dataset in memory": "Redis is loading its data",
    "MISCONF Valkey is configured to save RDB snapshots, but can't": "can't write to its disk",
    "CROSSSLOT Keys in request don't hash to the same slot": "Redis Cluster can't be used",
    "Error 111 connecting to 127.0.0.1:6379. Connection refused.": "Redis can't be reached (Connection refused)",
    "Error -2 connecting to nowhere:6379. Name or service not known.": "its host is not known",
    "Timeout reading from socket": "Redis does not answer in time",
    "Connection closed by server.": "Redis closed the connection",
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed": "the certificate of Redis",
    "DB index is out of range": "no such database number",
    "max number of clients reached": "takes no more connections",
    "User giliran has no permissions to run the 'xadd' command": "may not use the command XADD",
    "ACL failure in script: User g has no permissions to run the 'xadd' command script: 0a": "the command XADD",
    "Command # 5 (MGET config:max_agent_chat x) of pipeline caused error: No permissions to access a key": (
        "may not use the key config:max_agent_chat:"
    ),
    "No permissions to access a key": "may not use one of our keys, giliran:* config:max_agent_chat* rq:*",
    "No permissions to access a channel": "may not use our channels",
    "Command # 1 (HSET rq:job:1 secret77) of pipeline caused error: WRONGTYPE Operation against a key": "another type",
}


@each("text", TOLD)
def test_each_has_its_sentence(text: str) -> None:
    found = redis_why.why(exceptions.ResponseError(text))
    assert TOLD[text] in found
    assert "secret77" not in found
    assert "\n" not in found


def test_of_what_is_not_known_nothing_is_repeated() -> None:
    found = redis_why.why(exceptions.ResponseError("redis://:secret77@host said something"))
    assert found == "Redis failed (ResponseError)"


def test_the_reason_may_be_that_of_an_error_behind_it() -> None:
    try:
        raise ValueError("outside") from exceptions.ReadOnlyError("You can't write against a read only replica.")
    except ValueError as error:
        assert "read-only replica" in redis_why.why(error)


@each(
    ("error", "away"),
    [
        (exceptions.ConnectionError("refused"), True),
        (exceptions.TimeoutError("Timeout"), True),
        (exceptions.BusyLoadingError("loading"), True),
        (exceptions.AuthenticationError("no"), False),
        (exceptions.ReadOnlyError("no"), False),
        (exceptions.OutOfMemoryError("no"), False),
        (exceptions.NoPermissionError("no"), False),
    ],
)
def test_away_is_told_apart_from_refusing(error: Exception, away: bool) -> None:
    assert redis_why.is_away(error) is away

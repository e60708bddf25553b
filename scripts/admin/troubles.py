"""What PostgreSQL's refusal means, in a sentence without its URL. Of Redis's: `db/redis_why.py`."""

_POSTGRES = {
    "password authentication failed": "PostgreSQL refuses the user or the password: correct DATABASE_URL",
    "no password supplied": "PostgreSQL wants a password: correct DATABASE_URL",
    "no pg_hba.conf entry": "PostgreSQL lets this user in from here neither with nor without TLS: see its pg_hba.conf",
    "role ": "PostgreSQL has no such user: correct DATABASE_URL",
    "does not exist": "PostgreSQL has no such database: correct DATABASE_URL",
    "too many clients": "PostgreSQL takes no more connections: raise its max_connections",
    "remaining connection slots": "PostgreSQL takes no more connections: raise its max_connections",
    "does not support SSL": "PostgreSQL does not speak TLS: see sslmode in DATABASE_URL",
    "certificate": "the certificate of PostgreSQL is not trusted: see sslmode and sslrootcert in DATABASE_URL",
    "starting up": "PostgreSQL is starting up",
    "shutting down": "PostgreSQL is shutting down",
    "read-only": "PostgreSQL is read-only: point DATABASE_URL at the primary",
    "in recovery": "PostgreSQL is in recovery",
    "connection refused": "PostgreSQL can't be reached (Connection refused)",
    "could not translate host name": "PostgreSQL can't be reached (its host is not known)",
    "no such file or directory": "PostgreSQL can't be reached (no such socket)",
    "timeout expired": "PostgreSQL does not answer in time",
    "statement timeout": "PostgreSQL did not answer in time",
    "lock timeout": "another transaction holds what this needs: try again in a moment",
    "permission denied": "PostgreSQL denies this user a right: the database's owner is needed",
}


def postgres(error: BaseException) -> str:
    """Its own words can quote the URL, or rows: only what is known of them is shown."""
    told = str(error).lower()
    return next(
        (meaning for phrase, meaning in _POSTGRES.items() if phrase.lower() in told),
        "PostgreSQL refused: its log says why",
    )

"""`giliran migrate`: brings the database to this version, as the release step does."""

import click
import psycopg2

from db import migrate as migrations
from db import postgres
from scripts.admin.errors import CantDo
from scripts.admin.installation import Installation, as_json, say
from scripts.launch.outside import known_reason


@click.command()
@as_json
@click.pass_obj
def migrate(installation: Installation, as_json: bool) -> None:
    """Migrate the database to this version. Harmless to repeat."""
    try:
        ran = migrations.migrate(installation.servers.database_url)
    except migrations.MigrationError as error:
        raise CantDo(str(error)) from error
    except (postgres.LedgerTrouble, psycopg2.Error) as error:  # their text can quote the URL
        raise CantDo(f"PostgreSQL does not answer ({known_reason(error)})") from error
    say(as_json, {"ran": ran}, "\n".join(f"ran {name}" for name in ran) or "nothing to do")

"""The admin tool, `./scripts/giliran`: shows the queue and sets limits, beside whatever processes run.

It reads PostgreSQL and Redis; of what it writes the workers take notice by themselves within a second.
"""

import os
import traceback

import click
import psycopg2
from redis.exceptions import RedisError

from db import redis_why
from db.inbox import InboxDown
from db.postgres import LedgerTrouble
from scripts.admin import (
    agent,
    audited,
    bench,
    customer,
    eta,
    faq,
    heal,
    hooks,
    identity,
    line,
    maximum,
    migration,
    operator,
    report,
    routing,
    setup,
    tenant,
    transcript,
    troubles,
    urls,
)
from scripts.admin import why as why_command
from scripts.admin.doctor.command import doctor
from scripts.admin.errors import CantDo
from scripts.admin.installation import Installation
from scripts.launch import folder
from settings import ROOT, SettingsError
from version import VERSION

EPILOG = """\b
Exit codes:
  0  done
  1  failed: a server is away, a setting is wrong, the desk does not answer
  2  wrong usage, or a rules file with faults
  3  not found: unknown room, tenant or agent
  4  refused: an invalid value, credentials that Qiscus refuses, --yes is missing
`giliran doctor` has codes of its own: 0 all ok, 1 warnings, 2 errors.

Settings are those of ./scripts/run: the environment and .env. NO_COLOR, or an output that is no terminal: no colours.
"""


class Admin(click.Group):
    """Turns what went wrong into one line. Nobody is shown a stack trace, and no URL, which can hold a password."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, OSError):
            raise  # click's own business, a closed pipe included
        except SettingsError as error:
            raise CantDo(str(error)) from error
        except (LedgerTrouble, psycopg2.Error) as error:
            raise CantDo(troubles.postgres(error)) from error
        except InboxDown as error:
            raise CantDo(str(error)) from error
        except RedisError as error:
            raise CantDo(redis_why.why(error)) from error
        except UnicodeEncodeError as error:  # bytes of the command line that are no UTF-8 come as lone surrogates
            raise click.UsageError("what was typed holds bytes that are no text in UTF-8") from error
        except Exception as error:
            raise CantDo(_defect(error)) from error


def _defect(error: Exception) -> str:
    details = ROOT / "var" / "admin-error.log"
    details.parent.mkdir(exist_ok=True)
    folder.write_private(details, traceback.format_exc())
    return f"a defect of giliran ({type(error).__name__}): {details.relative_to(ROOT)} has the details"


@click.version_option(VERSION, "--version", "-V", message="giliran %(version)s")
@click.group(cls=Admin, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def giliran(ctx: click.Context) -> None:
    """The admin tool: who waits and why, who serves, with which limit."""
    ctx.obj = Installation()
    if os.environ.get("NO_COLOR"):
        ctx.color = False


COMMANDS = (
    line.queue,
    line.another_name,
    why_command.why,
    agent.agent,
    operator.operator,
    maximum.max_,
    tenant.tenant,
    setup.setup,
    routing.routing,
    faq.faq,
    hooks.hooks,
    transcript.transcript,
    customer.customer,
    urls.urls,
    doctor,
    heal.retry,
    report.report,
    eta.eta,
    heal.reconcile,
    audited.audit,
    migration.migrate,
    identity.installation,
    bench.bench,
)
for command in COMMANDS:
    giliran.add_command(command)


if __name__ == "__main__":
    giliran(prog_name="giliran")

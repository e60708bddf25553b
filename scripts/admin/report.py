"""`giliran report`: what happened on a day, in a week or a month: volume, waits, service level, agents."""

import click

from scripts.admin.errors import CantDo
from scripts.admin.installation import Installation, as_json, say, some, tenant_filter
from scripts.admin.report_text import as_text
from views.reports import page
from views.reports import period as periods
from views.reports import report as reports
from views.reports.period import Period, PeriodError
from views.reports.report import Asked, Found, NothingKnown
from views.reports.spreadsheet import as_csv
from views.words import clean


@click.command(short_help="What happened: volume, waits, agents.")
@click.option("--day", metavar="D", help="One day, as 2026-11-30 (default: yesterday).")
@click.option("--week", metavar="W", help="A week by ISO 8601, as 2026-W48.")
@click.option("--month", metavar="M", help="A month, as 2026-11.")
@tenant_filter
@click.option(
    "--zone", metavar="ZONE", help="Time zone of the days, as Asia/Jakarta (default: of the office hours, else UTC)."
)
@as_json
@click.option("--csv", "as_table", is_flag=True, help="For spreadsheets: one table.")
@click.option("--html", "file", metavar="FILE", help="Write one page with charts, to read or print; replaces FILE.")
@click.option("--language", type=click.Choice(list(page.LANGUAGES)), help="Of the page (default: of most chats).")
@click.pass_obj
def report(
    installation: Installation,
    day: str | None,
    week: str | None,
    month: str | None,
    tenant: str | None,
    zone: str | None,
    as_json: bool,
    as_table: bool,
    file: str | None,
    language: str | None,
) -> None:
    """Show volume, waits, service level, abandoned visits, agents, decisions and drift of a day, a week or a month.

    Served in time is who was assigned within SERVICE_LEVEL_SECONDS. Abandoned is a visit that was over before an agent
    had it. What is older than KEEP_DAYS is gone; a question mark is not known, and never 0.
    """
    if sum((as_json, as_table, file is not None)) > 1:
        raise click.UsageError("say only one of --json, --csv and --html")
    if language is not None and file is None:
        raise click.UsageError("--language is of the page: say --html, too")
    found = _found(installation, _asked(installation, _period(day, week, month), zone), tenant)
    made = [each.report() for each in found]
    if file is not None:
        _write(file, page.as_html(made, language or _language(found)))
    elif as_table:
        click.echo(as_csv(made), nl=False)
    else:
        say(as_json, reports.all_of(made), "\n\n\n".join(map(as_text, made)))


def _period(day: str | None, week: str | None, month: str | None) -> Period | None:
    ways = ((day, periods.of_day), (week, periods.of_week), (month, periods.of_month))
    named = [(text, of) for text, of in ways if text is not None]
    if len(named) > 1:
        raise click.UsageError("say only one of --day, --week and --month")
    try:
        return named[0][1](named[0][0]) if named else None
    except PeriodError as error:
        raise click.UsageError(str(error)) from error


def _asked(installation: Installation, period: Period | None, zone: str | None) -> Asked:
    try:
        where = periods.zone(zone) if zone is not None else None
    except PeriodError as error:
        raise click.UsageError(str(error)) from error
    settings = installation.settings
    kept = (settings.keep_days, settings.keep_chats_days)
    return Asked(period, where, settings.service_level_seconds, *kept)


def _found(installation: Installation, asked: Asked, tenant: str | None) -> list[Found]:
    """Of the tenants of which something is known; raises `CantDo` where there is none."""
    with installation.reading() as cur:
        tenants = some(cur, tenant)
    found, without = [], []
    for each in tenants:
        try:
            with installation.reading() as cur:
                found.append(reports.read(cur, each, asked))
        except NothingKnown as error:
            without.append(str(error))
    if not found:
        raise CantDo("; ".join(without) or "no tenant yet: see `giliran tenant add --help`")
    for line in without:
        click.echo(f"giliran: {line}", err=True)
    return found


def _language(found: list[Found]) -> str:
    """Of the first tenant whose customers' pages said theirs."""
    return next((each.language for each in found if each.language), page.DEFAULT)


def _write(file: str, page: str) -> None:
    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=True) as out:
            out.write(page)
    except OSError as error:
        raise CantDo(f"can't write {clean(file)!r}: {error.strerror}") from error
    if file != "-":
        click.echo(f"written: {clean(file, 200)}", err=True)

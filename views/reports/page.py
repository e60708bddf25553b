"""A report as one page of HTML, to read and to print. Pure: reports → text.

The page asks for nothing: its style is inside, it has no script, and its policy forbids both from elsewhere. It has the
colours of all pages (`sidecar/pages/css/tokens.css`). Every name comes from a stranger, and is escaped.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from routing.model import CHANNEL
from views.reports import report
from views.reports.charts import bar, figure
from views.reports.figures import Agent, Counts, Report, folded, mean_of_stars
from views.reports.period import DAY
from views.reports.trend import Trend
from views.reports.words import NOTHING, UNKNOWN, WORDS, Tongue
from views.words import clean

LANGUAGES, DEFAULT = tuple(WORDS), "en"
HERE = Path(__file__).parent
TOKENS = HERE.parents[1] / "sidecar" / "pages" / "css" / "tokens.css"
LOGO = HERE.parents[1] / "sidecar" / "pages" / "favicon.svg"
ZONES = {report.ASKED: "zone_asked", report.OF_HOURS: "zone_hours", report.NO_HOURS: "zone_none"}
DAYS_OF_WEEK = 7
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEAD = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}"><meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style></head><body>
"""


@cache
def _style() -> str:
    text = TOKENS.read_text() + (HERE / "page.css").read_text()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.S)).strip()


@cache
def _logo() -> str:
    return LOGO.read_text().strip().replace("<svg ", '<svg class="logo" aria-hidden="true" ')


def as_html(reports: Sequence[Report], language: str) -> str:
    say = Tongue(language)
    of = ", ".join(_name(each) for each in reports)
    title = escape(f"{say('title')}: {of}, {say.period(reports[0].span.period)}")
    head = HEAD.format(language=language, policy=POLICY, title=title, style=_style())
    pages = "".join(_Page(each, say, f"r{n}").html() for n, each in enumerate(reports))
    return f"{head}<main>{pages}</main></body></html>\n"


def _name(found: Report) -> str:
    return clean(found.name or found.tenant)


class _Page:
    """One tenant's."""

    def __init__(self, found: Report, say: Tongue, key: str) -> None:
        self._found, self._say, self._key = found, say, key
        self._target = say.seconds(found.target_s)

    def html(self) -> str:
        parts = [self._head(), self._tiles(), *self._by_day(), self._by_hour(), self._queues(), self._agents()]
        parts += [self._stars(), self._decisions(), self._drift(), self._foot()]
        return f"<article>{''.join(parts)}</article>"

    def _head(self) -> str:
        found, say = self._found, self._say
        tenant = f' <span class="soft">{escape(clean(found.tenant))}</span>' if found.name else ""
        zone = say(ZONES[found.span.zone_of], zone=found.span.zone.key)
        title = f'<p class="kicker">{escape(say("title"))}</p><h1>{escape(_name(found))}{tenant}</h1>'
        period = f'<p class="period">{escape(say.period(found.span.period))}</p>'
        notices = "".join(f'<p class="notice">{escape(each)}</p>' for each in self._missing())
        return f'<header>{_logo()}<div>{title}{period}</div><p class="soft zone">{escape(zone)}</p></header>{notices}'

    def _missing(self) -> Iterator[str]:
        span, say = self._found.span, self._say
        if span.known > span.since:
            yield say("begins", at=say.moment(span.known, span.zone))
        if span.reached < min(span.until, span.now):
            yield say("stopped", at=say.moment(span.reached, span.zone))
        elif span.now < span.until:
            yield say("not_over", at=say.moment(span.now, span.zone))

    def _tiles(self) -> str:
        total, say = self._found.total, self._say
        gone = say("of_arrived", share=say.share(total.abandoned / total.arrived)) if total.arrived else ""
        waits = say("p95_note", p95=say.seconds(total.wait_p95_s), longest=say.seconds(total.wait_longest_s))
        tiles = [
            (say("arrived"), say.number(total.arrived), ""),
            (say("served"), say.number(total.served), ""),
            (say("level"), say.share(total.level), say("in_time", target=self._target)),
            (say("wait_median"), say.seconds(total.wait_median_s), waits if total.served else ""),
            (say("abandoned"), say.number(total.abandoned), gone),
            (say("rating"), *self._rating()),
        ]
        return f'<dl class="tiles">{"".join(_tile(*each) for each in tiles)}</dl>'

    def _rating(self) -> tuple[str, str]:
        say, stars = self._say, self._found.stars
        if stars is None:
            return NOTHING, say("no_ratings")
        mean = mean_of_stars(stars)
        if mean is None:
            return NOTHING, say("nobody_rated")
        return say.number(mean, 1), say("of_five", n=say.number(sum(stars.values())))

    def _by_day(self) -> Iterator[str]:
        days, target_s = self._found.days, self._found.target_s
        if self._found.span.period.kind != DAY:
            is_week = len(days) <= DAYS_OF_WEEK
            labels = [self._say.weekday(day) if is_week else str(day.day) for day in days]
            yield self._trend("by_day", "day", Trend([*map(self._say.short, days)], labels, [*days.values()], target_s))

    def _by_hour(self) -> str:
        hours, target_s = self._found.hours, self._found.target_s
        names, labels = [f"{hour:02}:00" for hour in hours], [f"{hour:02}" for hour in hours]
        return self._trend("by_hour", "hour", Trend(names, labels, [*hours.values()], target_s))

    def _trend(self, title: str, of: str, trend: Trend) -> str:
        charts = enumerate(trend.charts(self._say))
        drawn = "".join(figure(chart, f"{self._key}-{of}{n}") for n, chart in charts)
        rows = [[name, *self._cells(each)] for name, each in folded(trend.names, trend.counts)]
        table = self._table(title, [of, *self._columns()], rows)
        return self._section(title, f'<div class="charts">{drawn}</div>{table}')

    def _columns(self) -> list[str]:
        return ["arrived", "served", "level", "abandoned", "wait_median", "p95", "longest"]

    def _cells(self, counts: Counts | None) -> list[str]:
        say = self._say
        if counts is None:
            return [UNKNOWN] * len(self._columns())
        waits = [say.seconds(each) for each in (counts.wait_median_s, counts.wait_p95_s, counts.wait_longest_s)]
        flow = [say.number(counts.arrived), say.number(counts.served), say.share(counts.level)]
        return [*flow, say.number(counts.abandoned), *waits]

    def _queues(self) -> str:
        most = max((each.arrived for each in self._found.queues.values()), default=0)
        rows = [
            [escape(self._queue(name)), *map(escape, self._cells(counts)), bar(counts.arrived / most if most else 0)]
            for name, counts in self._found.queues.items()
        ]
        return self._section("by_queue", self._table("by_queue", ["queue", *self._columns(), ""], rows, is_safe=True))

    def _queue(self, name: str) -> str:
        if not name.startswith(CHANNEL):
            return clean(name)
        channel = clean(name.removeprefix(CHANNEL))
        return self._say("channel", channel=channel) if channel else self._say("no_channel")

    def _agents(self) -> str:
        most = max((each.chats for each in self._found.agents), default=0)
        rows = [[*map(escape, self._agent(each)), bar(each.chats / most if most else 0)] for each in self._found.agents]
        head = ["agent", "chats", "ended", "handling", "handling_all"]
        head += ["ratings", "stars"] if self._found.stars is not None else []
        return self._section("by_agent", self._table("by_agent", [*head, ""], rows, is_safe=True))

    def _agent(self, agent: Agent) -> list[str]:
        say = self._say
        total = say.seconds(agent.handling_total_s) if agent.ended else NOTHING
        row = [clean(agent.name) or say("nobody"), say.number(agent.chats), say.number(agent.ended)]
        row += [say.seconds(agent.handling_median_s), total]
        if agent.ratings is None:
            return row
        return [
            *row,
            say.number(agent.ratings),
            NOTHING if agent.rating_mean is None else say.number(agent.rating_mean, 1),
        ]

    def _stars(self) -> str:
        stars, say, since = self._found.stars, self._say, self._found.ratings_since
        number = sum((stars or {}).values())
        if not stars or not number:
            return ""
        rows = [
            ["★" * star, say.number(stars[star]), say.share(stars[star] / number), bar(stars[star] / number)]
            for star in sorted(stars, reverse=True)
        ]
        note = f'<p class="soft">{escape(self._since(since))}</p>' if since else ""
        return self._section(
            "by_stars", note + self._table("by_stars", ["stars", "customers", "share", ""], rows, True)
        )

    def _since(self, at: Any) -> str:
        return self._say("ratings_since", at=self._say.moment(at, self._found.span.zone))

    def _decisions(self) -> str:
        say = self._say
        rows = [
            [clean(each.policy), say.number(each.decisions), say.number(each.seats)] for each in self._found.decisions
        ]
        if not rows:
            return self._section("decisions", f'<p class="soft">{escape(say("no_decisions"))}</p>')
        return self._section("decisions", self._table("decisions", ["policy", "decisions", "seats"], rows))

    def _drift(self) -> str:
        say, zone = self._say, self._found.span.zone
        if not self._found.drift:
            return self._section("drift", f'<p class="soft">{escape(say("no_drift"))}</p>')
        rows = [
            [
                say.kind(clean(each.kind)),
                say("unknown") if each.healed is None else say.number(each.healed),
                say.number(each.ever),
                say.moment(each.last_at, zone),
            ]
            for each in self._found.drift
        ]
        note = f'<p class="soft">{escape(say("drift_note"))}</p>'
        return self._section("drift", note + self._table("drift", ["kind", "here", "ever", "last"], rows))

    def _foot(self) -> str:
        made = self._say("made", at=self._say.moment(self._found.span.now, self._found.span.zone))
        meaning = self._say("meaning", target=self._target)
        return f"<footer><p>{escape(meaning)}</p><p>{escape(made)}</p></footer>"

    def _section(self, title: str, inner: str) -> str:
        return f"<section><h2>{escape(self._say(title))}</h2>{inner}</section>"

    def _table(self, title: str, head: Iterable[str], rows: Sequence[Sequence[str]], is_safe: bool = False) -> str:
        """`is_safe`: cells are HTML already. A column without a name holds bars."""
        if not rows:
            return f'<p class="soft">{escape(self._say("nothing"))}</p>'
        names = [self._say(each) if each else "" for each in head]
        body = "".join(_row(row if is_safe else list(map(escape, row)), names) for row in rows)
        heads = "".join(f'<th scope="col">{escape(each)}</th>' if each else "<td></td>" for each in names)
        caption = f'<caption class="unseen">{escape(self._say(title))}</caption>'
        label = escape(self._say(title))
        table = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroller" role="region" tabindex="0" aria-label="{label}">{table}</div>'


def _row(cells: Sequence[str], names: Sequence[str]) -> str:
    """`cells`: HTML."""
    rest = "".join(f"<td>{cell}</td>" for cell in cells[1:])
    return f'<tr><th scope="row">{cells[0]}</th>{rest}</tr>'


def _tile(name: str, value: str, note: str) -> str:
    more = f'<dd class="note">{escape(note)}</dd>' if note else ""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd>{more}</div>"

"""The three charts of a report over days or hours: customers, waits, the share served in time. Pure: counts → charts.

Before: `figures`; after: `charts` draws them on `page`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from views.reports.charts import Chart, Series, highest, round_time, round_up
from views.reports.figures import Counts
from views.reports.words import Tongue


class Trend(NamedTuple):
    """`names` in full, `labels` as short as an axis has room for; `counts` None: not known."""

    names: Sequence[str]
    labels: Sequence[str]
    counts: Sequence[Counts | None]
    target_s: float

    def charts(self, say: Tongue) -> Iterator[Chart]:
        yield self._flow(say)
        yield self._waits(say)
        yield self._levels(say)

    def _flow(self, say: Tongue) -> Chart:
        served = Series(say("served"), "full", self._values(lambda each: each.served))
        gone = Series(say("abandoned"), "striped", self._values(lambda each: each.abandoned))
        top = round_up(highest((served, gone), True))
        told = self._told(say, "at_peak", served, max, say.number)
        return self._chart(say("flow"), told, (served, gone), True, say.number, say.number, top)

    def _waits(self, say: Tongue) -> Chart:
        p95 = Series(say("p95"), "pale", self._values(lambda each: each.wait_p95_s))
        half = Series(say("median"), "full", self._values(lambda each: each.wait_median_s))
        top = round_time(highest((p95, half), False))
        told = self._told(say, "at_peak", p95, max, say.seconds)
        return self._chart(say("waits"), told, (p95, half), False, say.axis, say.seconds, top)

    def _levels(self, say: Tongue) -> Chart:
        name = f"{say('level')}, {say('in_time', target=say.seconds(self.target_s))}"
        level = Series(name, "line", self._values(lambda each: each.level))
        told = self._told(say, "at_least", level, min, say.share)
        return self._chart(say("levels"), told, (level,), False, say.whole_share, say.share, 1.0)

    def _values(self, of: Callable[[Counts], float | None]) -> list[float | None]:
        return [None if each is None else of(each) for each in self.counts]

    def _told(self, say: Tongue, key: str, series: Series, pick: Callable[..., float], told: Callable[..., str]) -> str:
        """The most remarkable value, for who can't see the chart."""
        values = {name: value for name, value in zip(self.names, series.values, strict=True) if value is not None}
        if not values:
            return say("unknown")
        value = pick(values.values())
        name = next(name for name, each in values.items() if each == value)
        return say(key, title=series.name, name=name, value=told(value))

    def _chart(
        self,
        title: str,
        summary: str,
        series: Sequence[Series],
        is_stacked: bool,
        axis: Callable[[float], str],
        told: Callable[[float], str],
        top: float,
    ) -> Chart:
        unknown = [each is None for each in self.counts]
        return Chart(title, summary, self.names, self.labels, series, is_stacked, axis, told, top, unknown)

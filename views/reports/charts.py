"""Charts of a report as SVG. Pure: names and values → text. They need no script, can be read in black and white, and
stand beside a table with the same figures. Each is drawn twice, for wide and for narrow screens: the page shows one.

What is not known is a field with a question mark; a value of None elsewhere is of nothing: nobody waited.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

HIGH, TOP, BOTTOM = 200, 10, 26
WIDE, NARROW = (840, 46, 24), (336, 46, 8)  # width, room for the grid's numbers, names at the bottom at most
GRID = 4  # lines
TIMES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
BAR_MOST = 40  # pixels


class Series(NamedTuple):
    """`style`: full, striped, pale or line: a class of the page's style."""

    name: str
    style: str
    values: Sequence[float | None]


class Chart(NamedTuple):
    """`is_stacked`: the bars of one name stand on one another, else before one another. `axis`, `told`: a value as
    text, at the grid and at its mark. `top`: of the grid. `unknown`: of each name, whether nothing is known."""

    title: str
    summary: str
    names: Sequence[str]
    labels: Sequence[str]
    series: Sequence[Series]
    is_stacked: bool
    axis: Callable[[float], str]
    told: Callable[[float], str]
    top: float
    unknown: Sequence[bool]


def round_up(value: float) -> float:
    """The least one that is not below and whose grid has whole, round numbers; 4 at least."""
    power = 1
    while True:
        for each in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0):
            step = each * power
            if step.is_integer() and step * GRID >= value:
                return step * GRID
        power *= 10


def round_time(seconds: float) -> float:
    """The same for a time: the lines of the grid stand at whole seconds, minutes or hours."""
    return GRID * next((each for each in TIMES_S if each * GRID >= seconds), round_up(seconds / GRID))


def highest(chart: Sequence[Series], is_stacked: bool) -> float:
    columns = zip(*(each.values for each in chart), strict=True)
    of = sum if is_stacked else max
    return max((of([value or 0 for value in column]) for column in columns), default=0)


def figure(chart: Chart, key: str) -> str:
    """`key`: the ids on the page begin with it."""
    legend = "".join(f'<li><i class="key {each.style}"></i>{escape(each.name)}</li>' for each in chart.series)
    drawn = _svg(chart, f"{key}-w", "wide", *WIDE) + _svg(chart, f"{key}-n", "narrow", *NARROW)
    return (
        f'<figure class="chart"><figcaption><h3>{escape(chart.title)}</h3><ul class="legend">{legend}</ul></figcaption>'
        f"{drawn}</figure>"
    )


def _svg(chart: Chart, key: str, which: str, wide: int, left: int, names_most: int) -> str:
    label = escape(f"{chart.title}. {chart.summary}")
    frame = _Frame(chart, key, wide, left, names_most)
    parts = "".join([_patterns(key), *frame.grid(), *frame.unknown(), *frame.marks()])
    return f'<svg class="{which}" viewBox="0 0 {wide} {HIGH}" role="img" aria-label="{label}">{parts}</svg>'


def _patterns(key: str) -> str:
    stripes = '<rect class="under" width="6" height="6"/><rect class="stripe" width="3" height="6"/>'
    place = 'patternUnits="userSpaceOnUse" width="6" height="6" patternTransform="rotate(45)"'
    return f'<defs><pattern id="{key}-s" {place}>{stripes}</pattern></defs>'


class _Frame:
    """Where things stand in one drawing."""

    def __init__(self, chart: Chart, key: str, wide: int, left: int, names_most: int) -> None:
        self._chart, self._key, self._wide, self._left, self._names_most = chart, key, wide, left, names_most
        self._step = (wide - left - 6) / max(1, len(chart.names))
        self._bar = min(BAR_MOST, self._step * 0.72)

    def _x(self, at: int) -> float:
        return self._left + self._step * (at + 0.5)

    def _y(self, value: float) -> float:
        return TOP + (HIGH - TOP - BOTTOM) * (1 - value / self._chart.top)

    def grid(self) -> Iterator[str]:
        for line in range(GRID + 1):
            value = self._chart.top * line / GRID
            y = self._y(value)
            yield f'<line class="grid" x1="{self._left}" x2="{self._wide}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield _text(self._left - 8, y + 4, "end", self._chart.axis(value))
        every = -(-len(self._chart.names) // self._names_most)
        for at in range(0, len(self._chart.names), every):
            yield _text(self._x(at), HIGH - 8, "middle", self._chart.labels[at])

    def unknown(self) -> Iterator[str]:
        """Neighbours in one field, with a question mark."""
        for first, last in _runs(self._chart.unknown):
            x, wide = self._x(first) - self._step / 2, self._step * (last - first + 1)
            high = HIGH - TOP - BOTTOM
            yield f'<rect class="unknown" x="{x:.1f}" y="{TOP}" width="{wide:.1f}" height="{high}"/>'
            yield _text(x + wide / 2, TOP + high / 2 + 4, "middle", "?")

    def marks(self) -> Iterator[str]:
        for at, name in enumerate(self._chart.names):
            base = 0.0
            for series in self._chart.series:
                value = series.values[at]
                if value is not None and series.style != "line":
                    yield self._rect(at, base, value, series, name)
                    base += value if self._chart.is_stacked else 0
        for series in self._chart.series:
            if series.style == "line":
                yield from self._line(series)

    def _rect(self, at: int, base: float, value: float, series: Series, name: str) -> str:
        low, high = self._y(base), self._y(base + value)
        place = f'x="{self._x(at) - self._bar / 2:.1f}" y="{high:.1f}" width="{self._bar:.1f}"'
        fill = f' fill="url(#{self._key}-s)"' if series.style == "striped" else ""
        told = escape(f"{name}: {series.name} {self._chart.told(value)}")
        return f'<rect class="{series.style}" {place} height="{low - high:.1f}"{fill}><title>{told}</title></rect>'

    def _line(self, series: Series) -> Iterator[str]:
        for piece in _pieces(series.values):
            points = " ".join(f"{self._x(at):.1f},{self._y(value):.1f}" for at, value in piece)
            yield f'<polyline class="line" points="{points}"/>'
            for at, value in piece:
                told = escape(f"{self._chart.names[at]}: {self._chart.told(value)}")
                place = f'cx="{self._x(at):.1f}" cy="{self._y(value):.1f}" r="3"'
                yield f'<circle class="point" {place}><title>{told}</title></circle>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _pieces(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """A line without holes; what is not known begins another piece."""
    piece: list[tuple[int, float]] = []
    for at, value in enumerate(values):
        if value is not None:
            piece.append((at, value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _runs(are: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The first and the last place of each run that is true."""
    for value, run in groupby(range(len(are)), lambda at: are[at]):
        places = list(run)
        if value:
            yield places[0], places[-1]


def bar(share: float) -> str:
    """A bar in a cell of a table, beside its number; readers have the number."""
    wide = f"{100 * min(1.0, max(0.0, share)):.1f}"
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="100" height="8"/><rect class="full" width="{wide}" height="8"/></svg>'
    )

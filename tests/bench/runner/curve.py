# SPDX-License-Identifier: Apache-2.0
"""The rate over the number of sessions, of each MTA and with one and two server processes, as a picture."""

import dataclasses

from .measure import one_round
from .report import medians
from .tools import note

SESSIONS = (1, 2, 5, 10, 20, 50, 100, 200)
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 700, 60, 340  # of the axes
STYLE = 'font-family="sans-serif" font-size="12" fill="#333"'
ENOUGH = 20  # messages a session at least


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of the picture."""

    title: str
    mta: str
    main_cf: str
    colour: str
    dashes: str = "none"

    def make(self, kind):
        mta = kind()
        mta.extra_main_cf += self.main_cf
        return mta


TABLE = [
    Series("Ostler, 2 server processes", "ostler", "ostler_worker_processes = 2\n", "#2a6f97"),
    Series("Ostler, 1 server process", "ostler", "ostler_worker_processes = 1\n", "#2a6f97", "6 4"),
    Series("Postfix, a process a session", "postfix", "", "#b04a3a"),
]


def measure_curve(kinds, scenario, rounds, image, folder, scale):
    """{series: [(sessions, messages a second)]}; the rounds of all series are interleaved."""
    by_name = {kind.name: kind for kind in kinds}
    points = {series: [] for series in TABLE if series.mta in by_name}
    for sessions in SESSIONS:
        share = scale * min(1.0, max(sessions, 2) * ENOUGH / 200)
        s = dataclasses.replace(scenario, sessions=sessions)
        figures = {series: [] for series in points}
        for _ in range(rounds):
            for series, of in figures.items():
                of.append(one_round(series.make(by_name[series.mta]), s, image, folder, share))
        for series, of in figures.items():
            rate = medians(of)["per_second"]
            points[series].append((sessions, rate))
            note(f"{sessions} sessions: {series.title}: {rate:.0f} messages a second")
    return points


def ceiling(value):
    """The next round number, for the top of the axis."""
    step = 1
    while step * 10 <= value:
        step *= 10
    return next(n * step for n in (1, 2, 4, 6, 8, 10) if n * step >= value)


def text(x, y, anchor, words):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {STYLE}>{words}</text>'


def line(x1, y1, x2, y2, look):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'


def x_of(sessions):
    return LEFT + (RIGHT - LEFT) * SESSIONS.index(sessions) / (len(SESSIONS) - 1)


def y_of(rate, top):
    return BOTTOM - (BOTTOM - TOP) * rate / top


def axes(top):
    out = []
    for quarter in range(5):
        rate = top * quarter / 4
        y = y_of(rate, top)
        out += [line(LEFT, y, RIGHT, y, 'stroke="#ddd"'), text(LEFT - 8, y + 4, "end", f"{rate:,.0f}")]
    out += [text(x_of(sessions), BOTTOM + 18, "middle", sessions) for sessions in SESSIONS]
    return [*out, text((LEFT + RIGHT) / 2, BOTTOM + 42, "middle", "sessions")]


def drawing(number, series, of, top):
    """A line with its points, and its row in the legend."""
    stroke = f'stroke="{series.colour}" stroke-width="2" stroke-dasharray="{series.dashes}"'
    corners = " ".join(f"{x_of(s):.1f},{y_of(rate, top):.1f}" for s, rate in of)
    y = TOP + 16 + 18 * number
    return [f'<polyline points="{corners}" fill="none" {stroke}/>',
            *(f'<circle cx="{x_of(s):.1f}" cy="{y_of(rate, top):.1f}" r="3" fill="{series.colour}"/>' for s, rate in of),
            line(LEFT + 12, y - 4, LEFT + 44, y - 4, stroke), text(LEFT + 52, y, "start", series.title)]


def svg(points, title):
    top = ceiling(max(rate for of in points.values() for _, rate in of))
    out = ['<!-- SPDX-License-Identifier: Apache-2.0 -->',
           f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(LEFT, 30, "start", title), *axes(top)]
    for number, (series, of) in enumerate(points.items()):
        out += drawing(number, series, of, top)
    return "\n".join([*out, "</svg>", ""])

# SPDX-License-Identifier: Apache-2.0
"""The rate over the number of sessions, as a picture."""

import dataclasses

from .measure import one_round
from .report import medians
from .tools import note

SESSIONS = (1, 2, 5, 10, 20, 50, 100, 200)
WIDTH, HEIGHT, MARGIN = 640, 360, 60
COLOURS = {"postfix": "#b04a3a", "ostler": "#2a6f97"}
STYLE = 'font-family="sans-serif" font-size="12" fill="#333"'
ENOUGH = 20  # messages a session at least


def measure_curve(kinds, scenario, rounds, image, folder, scale):
    """{MTA name: [(sessions, messages a second)]}"""
    points = {kind.name: [] for kind in kinds}
    for sessions in SESSIONS:
        figures = {kind.name: [] for kind in kinds}
        for _ in range(rounds):
            for kind in kinds:
                share = scale * min(1.0, max(sessions, 2) * ENOUGH / 200)
                s = dataclasses.replace(scenario, sessions=sessions)
                figures[kind.name].append(one_round(kind(), s, image, folder, share))
        for kind in kinds:
            rate = medians(figures[kind.name])["per_second"]
            points[kind.name].append((sessions, rate))
            note(f"{sessions} sessions: {kind.name}: {rate:.0f} messages a second")
    return points


def ceiling(value):
    """The next round number, for the top of the axis."""
    step = 1
    while step * 10 <= value:
        step *= 10
    return next(n * step for n in (1, 2, 4, 6, 8, 10) if n * step >= value)


def svg(points, title):
    top = ceiling(max(rate for of in points.values() for _, rate in of))
    left, right, low, high = MARGIN, WIDTH - 20, HEIGHT - 50, 40

    def x(sessions):
        return left + (right - left) * SESSIONS.index(sessions) / (len(SESSIONS) - 1)

    def y(rate):
        return low - (low - high) * rate / top

    out = ['<!-- SPDX-License-Identifier: Apache-2.0 -->',
           f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{left}" y="20" {STYLE}>{title}</text>']
    for quarter in range(5):
        rate = top * quarter / 4
        out.append(f'<line x1="{left}" x2="{right}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(rate) + 4:.1f}" text-anchor="end" {STYLE}>{rate:,.0f}</text>')
    for sessions in SESSIONS:
        out.append(f'<text x="{x(sessions):.1f}" y="{low + 18}" text-anchor="middle" {STYLE}>{sessions}</text>')
    out.append(f'<text x="{(left + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle" {STYLE}>sessions</text>')
    for name, of in points.items():
        line = " ".join(f"{x(sessions):.1f},{y(rate):.1f}" for sessions, rate in of)
        end = of[-1]
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        out += [f'<circle cx="{x(s):.1f}" cy="{y(r):.1f}" r="3" fill="{COLOURS[name]}"/>' for s, r in of]
        out.append(f'<text x="{x(end[0]):.1f}" y="{y(end[1]) - 8:.1f}" text-anchor="end" {STYLE}>'
                   f'{name.capitalize()}</text>')
    return "\n".join([*out, "</svg>", ""])

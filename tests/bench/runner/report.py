# SPDX-License-Identifier: Apache-2.0
"""Medians of the rounds, as a table and as JSON."""

import json
import os
import statistics

NOT_MEASURED = "-"


def medians(rounds):
    """The median of each figure over the rounds."""
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def number(value):
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


RATES = [  # a figure, what it is called, and how its ratio is made
    ("per_second", "msg/s", lambda postfix, ostler: ostler / postfix),
    ("cpu_us", "CPU us", lambda postfix, ostler: postfix / ostler),
]
DETAILS = [
    ("megabytes_per_second", "MB/s", None),
    ("machine_us", "machine us", None),
    ("accept_p50_us", "250 us", None),
    ("delivery_p50_us", "way us", None),
]


def head(columns):
    cells = ["scenario"]
    for _, title, ratio in columns:
        cells += [f"Postfix {title}", f"Ostler {title}"] + (["ratio"] if ratio else [])
    return cells


def row(title, columns, postfix, ostler):
    cells = [title]
    for key, _, ratio in columns:
        cells += [number(postfix.get(key)), number(ostler.get(key))]
        if ratio:
            cells.append(f"{ratio(postfix[key], ostler[key]):.2f}" if postfix and ostler else NOT_MEASURED)
    return cells


def table(results, columns):
    """A Markdown table; results maps a scenario to a dict of MTA name to rounds."""
    rows = [head(columns)]
    for scenario, by_mta in results.items():
        of = {name: medians(rounds) for name, rounds in by_mta.items() if rounds}
        rows.append(row(scenario.title, columns, of.get("postfix", {}), of.get("ostler", {})))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]])
    return "\n".join(line(r, widths) for r in rows)


def line(cells, widths):
    fitted = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]
    return "| " + " | ".join(fitted) + " |"


def tables(results):
    return f"{table(results, RATES)}\n\n{table(results, DETAILS)}"


def write_json(path, results, disk):
    """Everything that was measured."""
    data = {
        "cores": os.cpu_count(),
        "disk_megabytes_per_second": disk,
        "scenarios": {
            scenario.name: {
                "title": scenario.title,
                **{name: {"median": medians(rounds), "rounds": rounds} for name, rounds in by_mta.items() if rounds},
            }
            for scenario, by_mta in results.items()
        },
    }
    with open(path, "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1)
        f.write("\n")

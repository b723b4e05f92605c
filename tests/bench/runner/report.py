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


def row(title, postfix, ostler):
    def value(of, key):
        return of[key] if of else None

    ratio = f"{ostler['per_second'] / postfix['per_second']:.2f}" if postfix and ostler else NOT_MEASURED
    cells = [title]
    for key in ("per_second", "megabytes_per_second", "cpu_us", "machine_us", "delivery_p50_us"):
        for of in (postfix, ostler):
            cells.append(number((of or {}).get(key)))
        if key == "per_second":
            cells.append(ratio)
    return cells


HEAD = [
    "scenario",
    "Postfix msg/s", "Ostler msg/s", "ratio",
    "Postfix MB/s", "Ostler MB/s",
    "Postfix CPU us/msg", "Ostler CPU us/msg",
    "Postfix machine us/msg", "Ostler machine us/msg",
    "Postfix latency us", "Ostler latency us",
]


def table(results):
    """A Markdown table; results maps a scenario to a dict of MTA name to rounds."""
    rows = [HEAD]
    for scenario, by_mta in results.items():
        of = {name: medians(rounds) for name, rounds in by_mta.items() if rounds}
        rows.append(row(scenario.title, of.get("postfix"), of.get("ostler")))
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEAD))]
    rows.insert(1, ["-" * (widths[0])] + ["-" * (w - 1) + ":" for w in widths[1:]])
    return "\n".join("| " + " | ".join(fit(c, w, i) for i, (c, w) in enumerate(zip(r, widths))) + " |" for r in rows)


def fit(cell, width, column):
    return cell.ljust(width) if column == 0 else cell.rjust(width)


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

# SPDX-License-Identifier: Apache-2.0
"""A bad module: every deed in every entry point; the service beside it goes on, and nothing that was accepted is lost."""

import concurrent.futures

from isolation import BUILT, Yard, cells

FULL, SAMPLE = {"rounds": 1}, {"rounds": 1}
KINDS = [("table", "any"), ("check",), ("transport",)]


def run_part(f, part):
    """One yard with its cells; answers what failed."""
    failed = []
    with Yard(f.mode == "rootless") as yard:
        for cell in part:
            try:
                yard.cell(*cell)
            except AssertionError as e:
                failed.append(f"{' '.join(cell)}: {e}")
                yard.order()
        try:
            yard.finish()
        except AssertionError as e:
            failed.append(f"at the end: {e}")
    return failed


def run(f):
    if not BUILT.exists():
        f.tap.skip("isolation", "tests/modules/bad is not built (make check builds it)")
        return
    chosen = cells(f.full, f.rng.randrange(18))
    parts = [[c for c in chosen if c[0] in kinds] for kinds in KINDS]
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        for kinds, failed in zip(KINDS, pool.map(lambda part: run_part(f, part), parts)):
            f.tap.ok(not failed, f"isolation: {' and '.join(kinds)}", failed)

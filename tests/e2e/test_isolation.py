# SPDX-License-Identifier: Apache-2.0
"""A module does what it must not in each of its entry points: its own process dies or the call is refused, the log names it, the
service beside it goes on, and nothing that was accepted is lost. tests/fault/run isolation does all of them, under load."""

import concurrent.futures
import os

import pytest
from instance import wait_for
from isolation import BUILT, DEEDS, ENTRIES, Yard, cells

MODES = ["rootless", "root"] if os.geteuid() == 0 else ["rootless"]
pytestmark = pytest.mark.skipif(not BUILT.exists(), reason="tests/modules/bad is not built (make check builds it)")
FULL = bool(os.environ.get("OST_ISOLATION_FULL"))


def run_kind(rootless, part):
    with Yard(rootless) as yard:
        yard.works()
        for cell in part:
            yard.cell(*cell)
        yard.finish()
        return len(part)


def sealed():
    """Builds with a sanitizer have no sandbox, and no limit of memory."""
    return b"__asan_init" not in BUILT.read_bytes() and b"__tsan_init" not in BUILT.read_bytes()


def test_the_sample_knows_every_deed_and_entry():
    some = cells(False) + cells(False, 1)
    assert {(k, e) for k, e, _ in some} == set(ENTRIES)
    assert {d for _, _, d in some} == set(DEEDS)


@pytest.mark.skipif(not sealed(), reason="built with a sanitizer: no sandbox")
@pytest.mark.parametrize("mode", MODES)
def test_deeds_in_entry_points(mode):
    chosen = cells(FULL, MODES.index(mode))
    parts = [[c for c in chosen if c[0] in kinds] for kinds in (("table", "any"), ("check",), ("transport",))]
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        assert sum(pool.map(lambda part: run_kind(mode == "rootless", part), parts)) == len(chosen)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("entry,deed", [("load", "crash"), ("load", "quit"), ("config_check", "hang")])
def test_a_start_and_a_reload_with_such_a_module_are_refused(mode, entry, deed):
    with Yard(mode == "rootless") as yard:
        i = yard.instance
        before = i.processes()
        yard.order("any", entry, deed)
        r = i.run("ostler", "reload", check=False, timeout=90)
        assert r.returncode != 0, r.stderr
        wait_for(lambda: f"in module bad, {entry}" in r.stderr + i.log())
        assert "the old configuration goes on" in r.stderr
        assert set(before) <= set(i.processes())
        yard.steady.stop()
        i.stop()
        r = i.run("ostler", "start", check=False, timeout=90)
        assert r.returncode != 0, r.stderr
        wait_for(lambda: f"in module bad, {entry}" in r.stderr + i.log())
        yard.order()
        i.start()
        yard.works()


def test_who_crashes_again_and_again_is_throttled_and_named():
    with Yard(MODES[-1] == "rootless") as yard:
        yard.order("any", "load", "crash")
        yard.restart()
        yard.instance.wait_log("bad command startup -- throttling")
        yard.order("check", "run-connect", "crash")
        wait_for(lambda: [yard.talk()] and "ends again and again -- throttling" in yard.instance.log(), 60, step=0.2)
        deaths = yard.instance.log().count("in module bad")
        assert deaths < 100  # no crash loop
        yard.order()
        yard.finish()

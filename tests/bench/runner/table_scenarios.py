# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/tables measures. A scenario takes a Place and answers {side: {figure: value}}; ALL names them."""

import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import time

POSTFIX = pathlib.Path("/usr/sbin")
DYNAMIC = pathlib.Path("/etc/postfix/dynamicmaps.cf")
MAIN_CF = "compatibility_level = 3.6\n"
MAIL_OWNER = {"Ostler": "mail_owner = nobody\n", "Postfix": ""}


class Place:
    """A scratch folder with sources, keys, and a folder and a configuration for each side."""

    def __init__(self, folder, args):
        folder.chmod(0o755)
        self.folder, self.args = folder, args
        self.rng = random.Random(4711)
        self.bin = {"Ostler": args.prefix / "sbin", "Postfix": POSTFIX}
        for side in self.bin:
            (folder / side / "cf").mkdir(parents=True)
            (folder / side / "cf/main.cf").write_text(MAIN_CF + MAIL_OWNER[side])
            (folder / side / "cf/master.cf").write_text("smtp inet n - n - - smtpd\n")
        shutil.copy(args.prefix / "etc/ostler/modules.cf", folder / "Ostler/cf/modules.cf")
        if DYNAMIC.exists():
            shutil.copy(DYNAMIC, folder / "Postfix/cf/dynamicmaps.cf")
        self.source = self.write_source()
        self.indexes = set()

    @property
    def sides(self):
        return list(self.bin) if (POSTFIX / "postmap").exists() else ["Ostler"]

    @staticmethod
    def key(i):
        return f"user{i}@domain{i % 5000}.example"

    def write_source(self):
        path = self.folder / "source"
        with open(path, "w", encoding="ascii") as f:
            for i in range(self.args.entries):
                f.write(f"{self.key(i)} smtp:[relay{i % 97}.example.net]:25\n")
        return path

    def keys(self, n, name="keys"):
        """A file of n keys, of which one in eleven is not there."""
        path = self.folder / name
        if not path.exists():
            with open(path, "w", encoding="ascii") as f:
                for _ in range(n):
                    f.write(self.key(self.rng.randrange(self.args.entries * 11 // 10)) + "\n")
        return path

    def map(self, side):
        """The source in that side's own folder."""
        path = self.folder / side / "map"
        if not path.exists():
            os.link(self.source, path)
        return path

    def index(self, side, type_name):
        """Made once, outside of what is measured."""
        if (side, type_name) not in self.indexes:
            self.postmap(side, [f"{type_name}:{self.map(side)}"])
            self.indexes.add((side, type_name))
        return f"{type_name}:{self.map(side)}"

    def postmap(self, side, argv, stdin=None):
        """Runs it; answers seconds of the clock and of processors."""
        env = {"PATH": os.environ["PATH"], "MAIL_CONFIG": str(self.folder / side / "cf")}
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        with open(stdin or os.devnull, "rb") as f:
            subprocess.run([str(self.bin[side] / "postmap"), *argv], stdin=f, stdout=subprocess.DEVNULL, env=env, check=True)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def lookups(self, name, keys, threads, lookups):
        """table-bench's figures."""
        out = subprocess.run([str(self.args.build / "tests/bench/table-bench"), str(self.folder / "Ostler/cf"), name, str(keys),
                              str(threads), str(lookups)], capture_output=True, text=True, check=True).stdout
        return json.loads(out.splitlines()[-1])


def in_turn(place, once, sides=None):
    """Calls once(side) for each side, round by round; medians of the figures it answers."""
    rounds = {side: [] for side in sides or place.sides}
    for _ in range(place.args.rounds):
        for side, figures in rounds.items():
            figures.append(once(side))
    return {side: {k: statistics.median(f[k] for f in figures) for k in figures[0]} for side, figures in rounds.items()}


# ---- postmap -----------------------------------------------------------------------------------------------------------

SUFFIX = {("Ostler", "btree"): "lmdb", ("Postfix", "btree"): "db", "hash": "db", "cdb": "cdb", "lmdb": "lmdb"}


def build(type_name):
    """Making an index of all entries."""
    def scenario(place):
        def once(side):
            index = pathlib.Path(f"{place.map(side)}.{SUFFIX.get((side, type_name)) or SUFFIX[type_name]}")
            index.unlink(missing_ok=True)
            wall, cpu = place.postmap(side, [f"{type_name}:{place.map(side)}"])
            return {"seconds": wall, "cpu": cpu, "MB": index.stat().st_size / 1e6}
        return in_turn(place, once)
    return scenario


def query(type_name):
    """postmap -q - with many keys."""
    def scenario(place):
        keys = place.keys(place.args.queries, "queries")

        def once(side):
            wall, cpu = place.postmap(side, ["-q", "-", place.index(side, type_name)], stdin=keys)
            return {"seconds": wall, "cpu": cpu, "per_cpu": place.args.queries / cpu}
        return in_turn(place, once)
    return scenario


# ---- inside a process --------------------------------------------------------------------------------------------------

def ask(place, name, keys, lookups):
    """One thread, and eight."""
    def once(threads):
        figures = place.lookups(name, keys, threads, lookups)
        return {k: figures[k] for k in ("per_cpu", "per_second", "found", "failed")}
    return in_turn(place, once, sides=[1, 8])


def lookup_index(type_name):
    def scenario(place):
        return ask(place, place.index("Ostler", type_name), place.keys(500_000), place.args.lookups)
    return scenario


def lookup_regexp(place):
    """1,000 rules, of which about one in eleven keys matches none."""
    path = place.folder / "regexp"
    path.write_text("".join(f"/^user[0-9]*{i:03}@/ rule {i}\n" for i in range(1000)))
    return ask(place, f"regexp:{path}", place.keys(500_000), max(1, place.args.lookups // 1000))


def lookup_cidr(place):
    """10,000 networks, half of them asked for."""
    path, keys = place.folder / "cidr", place.folder / "addresses"
    path.write_text("".join(f"10.{i // 250}.{i % 250}.0/25 net {i}\n" for i in range(10_000)))
    keys.write_text("".join(f"10.{n // 250}.{n % 250}.{place.rng.randrange(256)}\n"
                            for n in (place.rng.randrange(10_000) for _ in range(100_000))))
    return ask(place, f"cidr:{path}", keys, max(1, place.args.lookups // 20))


ALL = {
    **{f"build {t}": build(t) for t in ("hash", "btree", "cdb", "lmdb")},
    **{f"query {t}": query(t) for t in ("hash", "btree", "cdb", "lmdb")},
    **{f"lookup {t}": lookup_index(t) for t in ("hash", "cdb", "lmdb", "btree")},
    "lookup regexp": lookup_regexp,
    "lookup cidr": lookup_cidr,
}


# ---- output ------------------------------------------------------------------------------------------------------------

def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def as_table(results):
    """A table for each set of columns, for the README."""
    out, columns = [], None
    for name, sides in results.items():
        for side, figures in sides.items():
            if list(figures) != columns:
                columns = list(figures)
                out += ["", "| scenario | | " + " | ".join(columns) + " |", "| --- | --- |" + " ---: |" * len(columns)]
            who = side if isinstance(side, str) else f"{side} thread{'s' if side > 1 else ''}"
            out.append(f"| {name} | {who} | " + " | ".join(shown(figures[c]) for c in columns) + " |")
    return "\n".join(out)

# SPDX-License-Identifier: Apache-2.0
"""The Test Anything Protocol, as much as the faults need of it."""


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, text, detail=()):
        """One point; the first lines of detail are shown when it failed. Answers whether it passed."""
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        for line in list(detail)[:20] if not good else ():
            print(f"# {line}", flush=True)
        return bool(good)

    def skip(self, text, reason):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {reason}", flush=True)

    def note(self, text):
        """A figure or a fact for whoever reads the output."""
        print(f"# {text}", flush=True)

    def end(self):
        print(f"1..{self.count}", flush=True)

# SPDX-License-Identifier: Apache-2.0
"""What is measured: a table."""

import dataclasses

KIB = 1024
MIB = 1024 * KIB


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of load. A slow MTA gets fewer messages, so that both runs last some seconds."""

    name: str
    title: str
    kind: str  # "relay" (to the sink) or "virtual" (into Maildirs)
    sessions: int
    size: int
    postfix: int  # messages of one round
    ostler: int
    recipients: int = 1
    mailboxes: int = 1000
    keep: bool = False  # connections stay between messages; otherwise each message has its own

    def messages(self, mta_name, scale=1.0):
        return max(int(getattr(self, mta_name) * scale), self.sessions)

    @property
    def domain(self):
        return "virtual.example" if self.kind == "virtual" else "sink.example"


TABLE = [
    Scenario("relay50", "relay, 50 sessions, 4 KiB", "relay", 50, 4 * KIB, 6000, 24000),
    Scenario("relay50kept", "the same, connections kept", "relay", 50, 4 * KIB, 6000, 24000, keep=True),
    Scenario("relay1", "relay, 1 session, 4 KiB", "relay", 1, 4 * KIB, 1000, 3000),
    Scenario("virtual1000", "Maildir, 50 sessions, 1,000 mailboxes", "virtual", 50, 4 * KIB, 6000, 24000),
    Scenario("virtual1", "Maildir, 50 sessions, 1 mailbox", "virtual", 50, 4 * KIB, 6000, 24000, mailboxes=1),
    Scenario("relay10", "relay, 50 sessions, 10 recipients", "relay", 50, 4 * KIB, 4000, 12000, recipients=10),
    Scenario("relay100k", "relay, 50 sessions, 100 KiB", "relay", 50, 100 * KIB, 3000, 6000),
    Scenario("relay5m", "relay, 10 sessions, 5 MB", "relay", 10, 5_000_000, 150, 300),
]

BY_NAME = {s.name: s for s in TABLE}

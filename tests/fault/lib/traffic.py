# SPDX-License-Identifier: Apache-2.0
"""A few messages by every way through the system, one after the other, and what became of them.

A client that is refused, or loses its connection, comes again with the same message under another id: so each attempt has one
verdict, `accepted`, `refused` (no recipient may ever get it) or `unknown` (the connection was lost: it may arrive).
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import re
import threading
import time
import zlib

from .ledger import read_stamped

HERE, USER = "localhost.example.test", "games"  # a system user of every Debian that is not Ostler's own
PATIENCE = 30  # seconds until all is well again by itself
# kind: recipients, body length, and who gets it where that is somebody else. `later` is put off twice, `gone` refused for ever.
PAIR = (["r{n}@relay.test", "box{n}@virtual.test"], 3000, None)
KINDS = {
    "pair": PAIR,
    "mbox": ([f"{USER}@{HERE}"], 2000, None),
    "alias": ([f"alias@{HERE}"], 2000, ["alias@relay.test"]),
    "large": (["large{n}@relay.test", "box{n}@virtual.test"], 300_000, None),
    "bounce": (["gone{n}@relay.test"], 1000, None),
    "later": (["later{n}@relay.test"], 2500, None),
    "never": (["never{n}@relay.test"], 2500, None),  # for who gives replies of his own
    "held": (["held{n}@relay.test"], 2000, None),
    "submit": PAIR,  # by sendmail(1) to pickup
    "drop": PAIR,    # by sendmail(1) while nobody listens: to the maildrop folder
}
BOXES = 40
LATER = 2  # how often `later` is put off


class Replies:
    """What the receiving server says, by recipient."""

    def __init__(self):
        self.seen = collections.Counter()

    def rcpt(self, line):
        to = re.search(r"<(.*?)>", line).group(1)
        self.seen[to] += 1
        if to.startswith("later") and self.seen[to] <= LATER:
            return "450 4.2.0 not now"
        return "550 5.1.1 nobody here" if to.startswith("gone") else None


def main_cf(folder, relay_port):
    """What an instance needs for all kinds."""
    (folder / "access").write_text("/^held/ HOLD\n")
    return f"""\
relayhost = [127.0.0.1]:{relay_port}
mail_spool_directory = {folder}/mail
alias_maps = inline:{{alias=alias@relay.test}}
stale_lock_time = 2s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/access, permit_mynetworks, reject
"""


def spool_folder(folder):
    """A mail spool as /var/mail is: the group's, sticky, setgid."""
    folder.mkdir(parents=True)
    os.chown(folder, 0, 8)
    folder.chmod(0o3775)
    return folder


@dataclasses.dataclass
class Attempt:
    kind: str
    recipients: list  # of the envelope
    expected: list    # who gets it
    sender: str
    verdict: str = "unknown"
    reply: str = ""
    took: float = 0.0
    queue_id: str = ""


def text_of(key, length):
    """A message that carries its id, and the sum of its body."""
    line = f"{key} nothing but a line of text that fills this message\n"
    body = ((line * (length // len(line) + 1))[: length - 1] + "\n").encode()
    head = f"X-Bench: {key} 1 {zlib.crc32(body):08x} {len(body)}\nSubject: {key}\n\n".encode()
    return head + body


class Traffic:
    def __init__(self, bed, sink, replies, mailbox):
        self.bed, self.sink, self.replies, self.mailbox = bed, sink, replies, mailbox
        self.round, self.attempts, self.late = 0, {}, {}
        self.away_lock, self.away_users = threading.Lock(), 0  # the lock guards the count, and where pickup's socket is
        self.begin()

    def begin(self):
        """A new round: the ledger is empty, and so are the mailboxes. What nobody knew the end of may still come."""
        count = self.arrived()[0] if self.round else {}
        self.late = {key: a for key, a in {**self.late, **self.attempts}.items()
                     if a.verdict == "unknown" and not all(count.get((key, r)) for r in a.expected)}
        self.attempts = {}  # id -> Attempt
        self.numbers = itertools.count()
        self.round += 1
        self.replies.seen.clear()
        with self.sink.lock:
            self.sink.messages.clear()
        for path in self.bed.instance.vmail.glob("*/*/*"):
            path.unlink()
        self.mailbox.unlink(missing_ok=True)

    # ---- sending ------------------------------------------------------------------------------------------------------

    def attempt(self, kind):
        """A new id, and what is sent under it."""
        recipients, length, expected = KINDS[kind]
        number = next(self.numbers)
        key, n = f"m{self.round}-{kind}-{number}", (self.round + number) % BOXES
        recipients = [r.format(n=n) for r in recipients]
        a = self.attempts[key] = Attempt(kind, recipients, expected or recipients, f"box{(n + 20) % BOXES}@virtual.test")
        return a, text_of(key, length)

    def once(self, kind):
        """One attempt by SMTP; answers it."""
        a, text = self.attempt(kind)
        before = time.monotonic()
        try:
            with self.bed.instance.raw() as d:
                d.sock.settimeout(PATIENCE)
                self.talk(d, a, text)
        except OSError as e:
            a.reply = type(e).__name__
        a.took = time.monotonic() - before
        return a

    @staticmethod
    def talk(d, a, text):
        a.verdict = "refused"  # so far
        a.reply = d.reply()
        for line in ["EHLO client.test", f"MAIL FROM:<{a.sender}>", *(f"RCPT TO:<{r}>" for r in a.recipients), "DATA"]:
            a.reply = d.ask(line) if a.reply[:1] in ("2", "3") else a.reply
        if not a.reply.startswith("354"):
            return
        a.verdict = "unknown"
        d.say(text.replace(b"\n", b"\r\n") + b".\r\n")
        a.reply = d.reply() or "closed"
        a.verdict = {"2": "accepted", "4": "refused", "5": "refused"}.get(a.reply[:1], "unknown")
        queued = re.search(r"queued as (\S+)", a.reply)
        a.queue_id = queued.group(1) if queued else ""

    @contextlib.contextmanager
    def no_pickup(self):
        """Meanwhile sendmail(1) finds nobody to talk to. Several at a time share it: the last one puts the socket back."""
        sock, away = self.bed.instance.queue / "public/pickup", self.bed.instance.queue / "queue-away"
        with self.away_lock:
            if self.away_users == 0:
                sock.rename(away)
            self.away_users += 1
        try:
            yield
        finally:
            with self.away_lock:
                self.away_users -= 1
                if self.away_users == 0:
                    away.rename(sock)

    def submit_once(self, kind, under=None):
        """One attempt by sendmail(1); `under` starts it in another way. The exit status is the answer."""
        a, text = self.attempt(kind)
        with self.no_pickup() if kind == "drop" else contextlib.nullcontext():
            before = time.monotonic()
            status, err = (under or self.run_sendmail)(["-i", "-f", a.sender, *a.recipients], text)
            a.took = time.monotonic() - before
        a.verdict = {0: "accepted", 75: "refused"}.get(status, "unknown")
        a.reply = f"exit {status}" + (f": {err.strip()[-60:]}" if status else "")
        return a

    def run_sendmail(self, argv, text):
        result = self.bed.instance.sendmail(*argv, message=text.decode(), check=False)
        return result.returncode, result.stderr

    def send(self, kind, under=None):
        """Until it is accepted; answers the last attempt. Who was refused in the queue's hold is let go."""
        end = time.monotonic() + PATIENCE
        while True:
            a = self.submit_once(kind, under) if kind in ("submit", "drop") else self.once(kind)
            under = None
            if a.verdict == "accepted" or time.monotonic() > end:
                break
            time.sleep(0.2)
        if kind == "held" and a.queue_id:
            self.release(a.queue_id)
        return a

    def release(self, queue_id):
        """Once it is known to be on hold. The queue manager may be away for a moment."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if "Released" in self.bed.instance.run("postsuper", "-H", queue_id, check=False).stderr:
                return
            time.sleep(0.1)

    # ---- what arrived -------------------------------------------------------------------------------------------------

    def arrived(self):
        """(id, recipient) -> how often; the keys of changed ones; id -> how many notices tell of it."""
        count, bad, notices = collections.Counter(), set(), collections.Counter()
        with self.sink.lock:
            got = [(r, m.data.replace(b"\r\n", b"\n")) for m in self.sink.messages for r in m.recipients]
        for path in self.bed.instance.vmail.glob("*/new/*"):
            got.append((None, path.read_bytes()))
        if self.mailbox.exists():
            parts = re.split(rb"(?:^|\n)From \S* [^\n]*\n", self.mailbox.read_bytes())
            got += [(None, p[:-1] if p.endswith(b"\n\n") else p) for p in parts[1:]]
            if parts[0]:
                bad.add(("the mailbox's start", USER))
        for recipient, data in got:
            about = re.search(rb"^X-Bench: (\S+)", data, re.M)
            if b"multipart/report" in data.partition(b"\n\n")[0]:
                notices[about.group(1).decode() if about else "?"] += 1
                continue
            (key, delivered_to), whole = read_stamped(data)
            key = (key, recipient or delivered_to)
            count[key] += 1
            if not whole:
                bad.add(key)
        return count, bad, notices

    def settled_but_deferred(self):
        """Whether all that was accepted has arrived."""
        count, _, notices = self.arrived()
        for key, a in self.attempts.items():
            if a.verdict != "accepted":
                continue
            if a.kind == "bounce" and not notices[key] or a.kind != "bounce" and not all(count[key, r] for r in a.expected):
                return False
        return True

    def settled(self):
        """The same, and the queue holds nothing any more."""
        if not self.settled_but_deferred():
            return False
        listed = self.bed.instance.run("postqueue", "-j", check=False)
        return listed.returncode == 0 and not listed.stdout.strip()

    def judge(self):
        """What is wrong: a list of texts; and how many deliveries were too many."""
        count, bad, notices = self.arrived()
        wrong, doubled = [], 0
        for key in bad:
            wrong.append(f"changed or cut: {key}")
        for (key, recipient), n in count.items():
            a = self.attempts.get(key) or self.late.get(key)
            if not a or recipient not in a.expected:
                wrong.append(f"from nowhere: {key} to {recipient}")
            elif a.verdict == "refused":
                wrong.append(f"refused ({a.reply}), and delivered: {key}")
            doubled += n - 1
        for key, n in notices.items():
            a = self.attempts.get(key) or self.late.get(key)
            if not a or a.kind != "bounce" or a.verdict == "refused":
                wrong.append(f"a notice from nowhere: {key}")
            doubled += n - 1
        for key, a in self.attempts.items():
            missing = [r for r in a.expected if not count[key, r]] if a.kind != "bounce" else [] if notices[key] else ["notice"]
            if a.verdict == "accepted" and missing:
                wrong.append(f"lost: {key} {missing}")
        return wrong, doubled

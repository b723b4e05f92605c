# SPDX-License-Identifier: Apache-2.0
"""Large messages, which lie in files as SMTP sends them: whoever gets one gets what was sent, by every way."""

import pytest
from instance import wait_for
from test_main_job import maildir, virtual

HEADER = "From: <a@example.test>\r\nTo: <b@example.test>\r\nSubject: large\r\n\r\n"
LINES = [("." * (n % 4) if n % 7 == 0 else "") + f"line {n} " + "x" * (n % 60) for n in range(12000)]
BODIES = {
    "plain": LINES,
    "long line": LINES[:6000] + ["y" * 5000] + LINES[6000:],
}


def broken(lines, limit=998):
    """As the SMTP client sends them: long lines in pieces."""
    for line in lines:
        while len(line) > limit:
            yield line[:limit]
            line = " " + line[limit:]
        yield line


@pytest.mark.parametrize("kind", BODIES)
def test_everybody_gets_it(make, sink, kind):
    lines = BODIES[kind]
    text = "\n".join(lines) + "\n"
    i = virtual(make, True, f"relayhost = [127.0.0.1]:{sink.port}\n")
    i.send("sender@example.test", ["far@far.test", "joe@virtual.test", "mbox@virtual.test"], HEADER + "\r\n".join(lines) + "\r\n")
    got = wait_for(lambda: sink.to("far@far.test"))[0]
    assert got.text.split("\r\n\r\n", 1)[1] == "\r\n".join(broken(lines)) + "\r\n"
    joe = wait_for(lambda: maildir(i, "joe"))[0].read_text()
    assert joe.split("\n\n", 1)[1] == text
    box = wait_for(lambda: (i.vmail / "flat").exists() and (i.vmail / "flat").read_text())
    assert box.split("\n\n", 1)[1] == text + "\n"
    i.wait_empty()


def test_it_is_shown_returned_and_measured_with_its_own_line_ends(make, sink):
    text = "\n".join(LINES) + "\n"
    sink.replies["rcpt"] = lambda line: "450 4.2.0 later" if "later@" in line else "550 5.1.1 no" if "never@" in line else None
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nbounce_size_limit = 5000000\n", rootless=True).start()
    i.send("sender@example.test", ["later@far.test"], HEADER + "\r\n".join(LINES) + "\r\n")
    entry = wait_for(lambda: [e for e in i.queue_list() if e["queue_name"] == "deferred"])[0]
    shown = i.run("postcat", "-bhq", entry["queue_id"]).stdout
    assert shown.split("\n\n", 1)[1] == text
    assert entry["message_size"] == len(shown)
    i.send("sender@example.test", ["never@far.test"], HEADER + "\r\n".join(LINES) + "\r\n")
    notice = wait_for(lambda: sink.to("sender@example.test"))[0]
    assert "\r\n" + "\r\n".join(LINES) + "\r\n" in notice.text

# SPDX-License-Identifier: Apache-2.0
"""A module that is wrong on purpose harms nothing but itself."""

import os
import pathlib
import shutil

import pytest
from instance import PREFIX, wait_for

BAD = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/modules/bad/.libs/bad.so"
pytestmark = pytest.mark.skipif(not BAD.exists(), reason="tests/modules/bad is not built: make check builds it")
TEXT = "Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def bad(make, sink):
    """An instance whose clients choose what the module does, by their HELO names and recipients."""
    folder = PREFIX / "lib/ostler-tests"
    folder.mkdir(exist_ok=True)
    shutil.copy(BAD, folder / "bad.so")
    lines = "".join(f"{kind} bad {folder}/bad.so\n" for kind in ("table", "check", "transport"))
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nsmtpd_delay_reject = no\nsmtpd_helo_restrictions = bad_helo\n"
             "transport_maps = inline:{ bad.test=bad: }\nminimal_backoff_time = 2s\n", modules=lines)
    i.write("master.cf", i.path("master.cf").read_text() + "bad unix - - n - - bad\n")
    i.give_to_user()
    yield i.start()
    (folder / "bad.so").unlink()


def greeting(i):
    with i.raw() as d:
        return d.reply()[:3]


@pytest.mark.parametrize("deed", ["crash", "abort", "overflow", "exit"])
def test_a_check_that_dies(bad, sink, deed):
    others = [bad.raw() for _ in range(4)]
    for d in others:
        assert d.reply().startswith("220")
        assert d.ask("EHLO fine.test").startswith("250")
    with bad.raw() as d:
        assert d.reply().startswith("220")
        answer = d.ask(f"EHLO {deed}.test")
        assert answer == "" or answer.startswith("4")
    if deed != "exit":
        bad.wait_log("in module bad, ")
    # The next connection works.
    wait_for(lambda: greeting(bad) == "220", 10)
    for d in others:
        d.close()
    bad.send("a@example.test", f"after-{deed}@far.test", TEXT)
    wait_for(lambda: sink.to(f"after-{deed}@far.test"))


def test_wrong_answers_do_not_reach_the_client(make, sink, bad):
    bad.write("main.cf", bad.path("main.cf").read_text().replace("smtpd_helo_restrictions = bad_helo", "") +
              "smtpd_sender_restrictions = bad_check newline\n")
    bad.run("ostler", "reload")
    with bad.raw() as d:
        d.reply()
        d.ask("EHLO fine.test")
        answer = d.ask("MAIL FROM:<a@example.test>")
        assert answer[:3] in ("451", "550") and "\n" not in answer and "\r" not in answer
        assert d.ask("NOOP") == "250 2.0.0 Ok"


def test_a_transport_that_dies_defers(bad, sink):
    bad.send("a@example.test", ["crash@bad.test", "fine@far.test"], TEXT)
    wait_for(lambda: sink.to("fine@far.test"))
    bad.wait_log("in module bad, deliver")
    bad.send("a@example.test", "still@far.test", TEXT)
    wait_for(lambda: sink.to("still@far.test"))
    [entry] = bad.queue_list()
    assert entry["recipients"][0]["address"] == "crash@bad.test"


def test_a_transport_that_reports_nobody_defers(bad):
    bad.send("a@example.test", "silent@bad.test", TEXT)
    bad.wait_log("status=deferred")
    assert len(bad.queue_list()) == 1

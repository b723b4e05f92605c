# SPDX-License-Identifier: Apache-2.0
"""Mail that goes round, and notices about notices: both end."""

import pytest
from instance import wait_for
from sink import Sink
from test_main_job import maildir, virtual

TEXT = "From: <joe@virtual.test>\r\nSubject: round and round\r\n\r\ntext\r\n"
REFUSE_ALL = {"rcpt": lambda line: "550 5.1.1 no such user"}
QUICK = "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n"


@pytest.fixture
def refusing():
    with Sink(replies=REFUSE_ALL) as s:
        yield s


def test_two_servers_that_forward_to_each_other(make):
    """One notice comes back after hopcount_limit, and nothing goes on moving."""
    other = make(rootless=True)
    one = virtual(make, True, f"relayhost = [127.0.0.1]:{other.port}\nhopcount_limit = 50\n")
    other.write("main.cf", other.path("main.cf").read_text() + f"relayhost = [127.0.0.1]:{one.port}\n")
    other.start()
    one.send("joe@virtual.test", "nobody@far.test", TEXT)
    notice = wait_for(lambda: maildir(one, "joe"), 60)
    one.wait_empty()
    other.wait_empty()
    assert len(notice) == len(maildir(one, "joe")) == 1
    assert "too many hops" in notice[0].read_text()
    wait_for(lambda: 20 <= one.log().count("to=<nobody@far.test>") <= 30)


def test_no_notice_about_a_notice(make, refusing):
    """A message with the null sender that fails is gone, without another."""
    i = make(QUICK + f"relayhost = [127.0.0.1]:{refusing.port}\n", rootless=True).start()
    i.send("", "nobody@far.test", TEXT)
    i.wait_log("status=bounced")
    i.wait_empty()
    assert not refusing.messages
    assert "from=<double-bounce@" not in i.log()


def test_a_notice_that_cannot_be_delivered_is_dropped(make, refusing):
    """A forged sender: the notice to it fails as well, and that is the end."""
    i = make(QUICK + f"relayhost = [127.0.0.1]:{refusing.port}\n", rootless=True).start()
    i.send("forged@victim.test", "nobody@far.test", TEXT)
    i.wait_log("to=<forged@victim.test>")
    i.wait_empty()
    wait_for(lambda: i.log().count("status=bounced") == 2)
    wait_for(lambda: i.log().count("sender non-delivery notification") == 1)


def test_the_double_bounce_address_gets_no_notice(make, refusing):
    i = make(QUICK + f"relayhost = [127.0.0.1]:{refusing.port}\n", rootless=True).start()
    i.send("double-bounce@mx.example.test", "nobody@far.test", TEXT)
    i.wait_log("status=bounced")
    i.wait_empty()
    assert "sender non-delivery notification" not in i.log()


def test_notify_never(make, refusing):
    i = make(QUICK + f"relayhost = [127.0.0.1]:{refusing.port}\n", rootless=True).start()
    with i.smtp() as s:
        s.sendmail("joe@virtual.test", ["nobody@far.test"], TEXT, rcpt_options=["NOTIFY=NEVER"])
    i.wait_log("status=bounced")
    i.wait_empty()
    assert "sender non-delivery notification" not in i.log()

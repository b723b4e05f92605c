# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from instance import Instance  # noqa: E402
from sink import Sink  # noqa: E402


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


@pytest.fixture
def make(request):
    """Makes instances that are stopped and removed when the test ends: make(main_cf, …), not started yet."""
    made = []

    def make_one(*args, **kw):
        made.append(Instance(*args, **kw))
        return made[-1]

    yield make_one
    failed = getattr(request.node, "failed", False)
    for i in made:
        if failed:
            print(f"---- log of {i.folder}\n{i.log()[-8000:]}")
        i.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True

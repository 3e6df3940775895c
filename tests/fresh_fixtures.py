"""A test that failed takes the shared fixtures with it: where it is run again, it meets servers of its own, and not the
streams, queues and functions that its first attempt left in them. A plugin of pytest.
"""

from collections.abc import Generator

import pytest

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    if item.stash.get(_FAILED, False):
        item.stash[_FAILED] = False
        item.session._setupstate.teardown_exact(None)

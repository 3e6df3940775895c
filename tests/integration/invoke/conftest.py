"""Servers for the tests of this folder: real ones, with processes that run functions under awslambdaric."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import RieServer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RieServer]:
    """One server for all tests of a module."""
    server = RieServer(tmp_path_factory.mktemp("rie"))
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(shared: RieServer) -> Any:
    return shared.client()

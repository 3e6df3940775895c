"""Fixtures of tests that need a Docker engine."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker_engine import connect


@pytest.fixture
def docker_engine() -> Iterator[Any]:
    """The SDK's client of an engine that answers; without one the test is skipped, or fails where it is required."""
    client = connect()
    yield client
    client.close()

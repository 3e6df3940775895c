"""Servers that the tests of event sources share."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer
from tests.integration.event_sources.kafka_mappings import Notes
from tests.servers.kafka import KafkaServer


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., RieServer]]:
    """Starts servers, each with a folder and an environment of its own; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*, environ: dict[str, str] | None = None, **settings: Any) -> RieServer:
            server = RieServer(tmp_path, environ=environ, **settings)
            stack.callback(server.stop)
            server.wait_ready()
            return server

        yield start

"""Servers that the tests of event sources share: emulators and brokers, and servers that find them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer
from tests.integration.event_sources.kafka_mappings import Notes
from tests.integration.event_sources.sqs_bench import SqsBench
from tests.servers.fauxqs import REGION, FauxqsServer
from tests.servers.kafka import KafkaServer


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def fauxqs() -> Iterator[FauxqsServer]:
    with FauxqsServer() as server:
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


@pytest.fixture
def bench(fauxqs: FauxqsServer, start_rie: Callable[..., RieServer], tmp_path: Path) -> SqsBench:
    server = start_rie(environ=fauxqs.environ, region=REGION, max_environments=4)
    return SqsBench(server, fauxqs, tmp_path / "notes")

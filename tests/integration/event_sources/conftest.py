"""The emulator of SQS, once for this folder, and a server that finds it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RieServer
from tests.integration.event_sources.sqs_bench import SqsBench
from tests.servers.fauxqs import REGION, FauxqsServer


@pytest.fixture(scope="session")
def fauxqs() -> Iterator[FauxqsServer]:
    with FauxqsServer() as server:
        yield server


@pytest.fixture
def bench(fauxqs: FauxqsServer, start_rie: Callable[..., RieServer], tmp_path: Path) -> SqsBench:
    server = start_rie(environ=fauxqs.environ, region=REGION, max_environments=4)
    return SqsBench(server, fauxqs, tmp_path / "notes")

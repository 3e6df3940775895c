"""What tests of mappings to a source with a password share: its secret, a server that finds it, functions that write
down what they get, and mappings that end with the test.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.conftest import RieServer
from tests.integration.event_sources.recording import Recorder, create_mapping
from tests.servers.moto import REGION, MotoServer


class Story:
    """
    Attributes:
        client: of the Lambda API.
        secret: ARN of the secret with the right password.
    """

    def __init__(self, moto: MotoServer, rie: RieServer, folder: Path, *, user: str, password: str) -> None:
        self.rie = rie
        self.client = rie.client()
        self._folder = folder
        self._secrets = moto.client("secretsmanager")
        self._user = user
        self.secret = self.new_secret(password)

    def new_secret(self, password: str) -> str:
        made = self._secrets.create_secret(Name=f"s-{uuid.uuid4().hex}", SecretString=self._text(password))
        return str(made["ARN"])

    def change_secret(self, secret: str, password: str) -> None:
        self._secrets.put_secret_value(SecretId=secret, SecretString=self._text(password))

    def _text(self, password: str) -> str:
        return json.dumps({"username": self._user, "password": password})

    def recorder(self, **options: Any) -> Recorder:
        name = f"orders-{uuid.uuid4().hex[:8]}"
        return Recorder(self.client, name, self._folder / name, **options)

    def basic_auth(self, secret: str | None = None) -> Mapping[str, str]:
        """One of SourceAccessConfigurations."""
        return {"Type": "BASIC_AUTH", "URI": secret or self.secret}

    @contextlib.contextmanager
    def mappings(self) -> Iterator[Callable[..., str]]:
        """Creates mappings: of a recorder, with members of CreateEventSourceMapping."""
        made: list[str] = []

        def create(recorder: Recorder, **members: Any) -> str:
            made.append(create_mapping(self.client, recorder, **members))
            return made[-1]

        yield create
        for one in made:
            self.client.delete_event_source_mapping(UUID=one)


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[tuple[MotoServer, RieServer]]:
    """An AWS for secrets, and a server whose time goes tenfold."""
    with MotoServer() as moto:
        rie = RieServer(folder, environ=moto.environ, region=REGION, clock_speed=10, **settings)
        rie.wait_ready()
        try:
            yield moto, rie
        finally:
            rie.stop()

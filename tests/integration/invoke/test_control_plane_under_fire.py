"""32 clients create, update, publish, alias, invoke and delete the same few functions at once: nothing breaks, nobody
runs what was never published, and no code is left over.

``UNDER_FIRE_SECONDS=60`` makes it last for a minute.
"""

import base64
import hashlib
import json
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from tests.conftest import RieServer
from tests.integration.invoke.deploying import PYTHON, ROLE, python_zip

SECONDS = float(os.environ.get("UNDER_FIRE_SECONDS", "4"))
CLIENTS = 32
FUNCTIONS = [f"shared-{number}" for number in range(8)]
# What AWS says, too, to a client that is too late, too early, or one too many.
EXPECTED = {"ResourceNotFoundException", "ResourceConflictException", "TooManyRequestsException"}


class Fire:
    """What all clients have done and seen."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.published: dict[tuple[str, str], str] = {}
        self.uploaded: dict[str, tuple[str, str]] = {}
        self.executed: set[tuple[str, str, str]] = set()
        self.answers: Counter[str] = Counter()

    def client(self, seed: int) -> None:
        """One client, until time is up."""
        dice, until = random.Random(seed), time.monotonic() + SECONDS
        actions = [
            self.create, self.create, self.update, self.publish, self.publish, self.configure, self.point,
            *[self.invoke] * 4, self.read, self.delete,
        ]  # fmt: skip
        while time.monotonic() < until:
            action, name = dice.choice(actions), dice.choice(FUNCTIONS)
            try:
                action(name, dice)
                answer = f"{action.__name__}: done"
            except ClientError as refused:
                status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
                answer = f"{action.__name__}: {status} {refused.response['Error']['Code']}"
            with self._lock:
                self.answers[answer] += 1

    def code(self, name: str) -> bytes:
        token = str(uuid4())
        content = python_zip(f"def handler(event, context):\n    return {token!r}\n")
        with self._lock:
            self.uploaded[token] = (name, base64.b64encode(hashlib.sha256(content).digest()).decode())
        return content

    def create(self, name: str, _: random.Random) -> None:
        code = {"ZipFile": self.code(name)}
        self._client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code=code)

    def update(self, name: str, dice: random.Random) -> None:
        publishes = dice.random() < 0.5
        answer = self._client.update_function_code(FunctionName=name, ZipFile=self.code(name), Publish=publishes)
        if publishes:
            self._note(name, answer)

    def configure(self, name: str, dice: random.Random) -> None:
        self._client.update_function_configuration(FunctionName=name, Timeout=dice.randint(3, 30))

    def publish(self, name: str, _: random.Random) -> None:
        self._note(name, self._client.publish_version(FunctionName=name))

    def point(self, name: str, dice: random.Random) -> None:
        versions = self._client.list_versions_by_function(FunctionName=name)["Versions"]
        wanted = {"FunctionName": name, "Name": "live", "FunctionVersion": dice.choice(versions)["Version"]}
        try:
            self._client.create_alias(**wanted)
        except self._client.exceptions.ResourceConflictException:
            self._client.update_alias(**wanted)

    def invoke(self, name: str, dice: random.Random) -> None:
        qualifier = dice.choice(["$LATEST", "live", str(dice.randint(1, 9))])
        answer = self._client.invoke(FunctionName=name, Qualifier=qualifier)
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        with self._lock:
            self.executed.add((name, answer["ExecutedVersion"], payload))

    def read(self, name: str, _: random.Random) -> None:
        self._client.list_functions(MaxItems=3)
        self._client.get_function(FunctionName=name)

    def delete(self, name: str, dice: random.Random) -> None:
        if dice.random() < 0.4:
            self._client.delete_function(FunctionName=name)

    def _note(self, name: str, answer: dict[str, Any]) -> None:
        with self._lock:
            before = self.published.setdefault((name, answer["Version"]), answer["CodeSha256"])
        assert before == answer["CodeSha256"], "a version has changed, or its number was given twice"


def kept_code(rie: RieServer) -> set[str]:
    """The digests, in hexadecimal, of what lies in the code folder."""
    return {path.name.removesuffix(".zip") for path in (rie.data_dir / "code").iterdir() if path.name != ".boot"}


def needed_code(client: Any) -> set[str]:
    pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
    return {base64.b64decode(one["CodeSha256"]).hex() for page in pages for one in page["Functions"]}


def test_many_clients_change_the_same_functions_and_nothing_breaks(rie: RieServer) -> None:
    fire = Fire(rie.client())
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(fire.client, range(CLIENTS)))
    unexpected = {
        answer: count
        for answer, count in fire.answers.items()
        if not answer.endswith("done") and answer.rpartition(" ")[2] not in EXPECTED
    }
    assert unexpected == {}
    assert len(fire.executed) > 5, f"hardly anything was invoked: {fire.answers}"
    for name, version, token in fire.executed:
        owner, sha256 = fire.uploaded[token]
        assert owner == name
        if version != "$LATEST":
            assert fire.published[name, version] == sha256
    rie.stop()
    rie.restart()
    assert kept_code(rie) == needed_code(rie.client())

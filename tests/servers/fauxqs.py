"""A fauxqs server of the test's own: SQS in one node process on a free loopback port, fast enough for volume.

``with FauxqsServer() as fauxqs:`` starts it, waits until it answers, and ends it by its process id. ``fauxqs.environ``
is what a server or a test sets so that botocore's clients find it.

Faults of its own: a message that a receive of a dead client was waiting for is hidden until its visibility timeout;
a receive brings one message of a FIFO group.
"""

import urllib.error
import urllib.request
from typing import Any

from tests.conftest import require
from tests.servers.emulator import Emulator
from tests.servers.fauxqs_program import FauxqsMissing, installed_program

REGION = "eu-west-1"
ACCOUNT = "000000000000"


class FauxqsServer(Emulator):
    region = REGION
    endpoint_variable = "AWS_ENDPOINT_URL_SQS"

    def __init__(self) -> None:
        try:
            self._program = installed_program()
        except FauxqsMissing as missing:
            require("fauxqs", str(missing))
        super().__init__("fauxqs")

    @property
    def sqs(self) -> Any:
        return self.service("sqs")

    def create_queue(self, name: str, **attributes: str) -> str:
        """A queue's ARN."""
        self.sqs.create_queue(QueueName=name, Attributes=attributes)
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def queue_url(self, name: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def _command(self) -> list[str]:
        return [*self._program, str(self.port), REGION]

    def _ask(self) -> None:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/health", timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()

"""A Kinesis with enhanced fan-out, of the test's own: kinesis-local in one child process on a free loopback port.

``with KinesisLocalServer() as kinesis:`` starts it, waits until it answers, and ends it by its process id. It comes
from npm, once, into ``~/.cache/rie-server-tests``; it is fetched only where ``RIE_REQUIRE`` names ``kinesis-local``.
"""

import tempfile
from pathlib import Path

from tests.conftest import free_port, wait_until
from tests.servers.emulator import KinesisEmulator
from tests.servers.npm import npm_package

VERSION = "0.6.2"
_DURATIONS = (
    "CREATE_STREAM",
    "DELETE_STREAM",
    "REGISTER_STREAM_CONSUMER",
    "DEREGISTER_STREAM_CONSUMER",
    "MERGE_SHARDS",
    "SPLIT_SHARD",
)
# It would listen on every interface.
_LOOPBACK_ALONE = """
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (place, ...rest) {
  if (place !== null && typeof place === 'object') place.host = '127.0.0.1'
  else if (typeof rest[0] === 'string') rest[0] = '127.0.0.1'
  else rest.unshift('127.0.0.1')
  return listen.call(this, place, ...rest)
}
"""


class KinesisLocalServer(KinesisEmulator):
    start_seconds = 40.0

    def __init__(self, port: int | None = None) -> None:
        self._package = npm_package("kinesis-local", VERSION) / "node_modules" / "kinesis-local"
        self._private = tempfile.TemporaryDirectory(prefix="kinesis-local-")
        super().__init__("kinesis-local", port)

    def create_consumer(self, stream_arn: str, name: str = "fan-out") -> str:
        """An active consumer's ARN."""
        made = self.client().register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)
        arn = str(made["Consumer"]["ConsumerARN"])

        def is_active() -> bool:
            described = self.client().describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
            return bool(described["ConsumerStatus"] == "ACTIVE")

        wait_until(is_active, what=f"the consumer {name}")
        return arn

    def _command(self) -> list[str]:
        preload = Path(self._private.name) / "loopback.js"
        preload.write_text(_LOOPBACK_ALONE)
        return ["node", "-r", str(preload), "main.js"]

    def _folder(self) -> Path:
        return self._package

    def _variables(self) -> dict[str, str]:
        ports = {"KINESIS_MOCK_PLAIN_PORT": str(self.port), "KINESIS_MOCK_TLS_PORT": str(free_port())}
        return {**ports, **{f"{name}_DURATION": "20ms" for name in _DURATIONS}, "LOG_LEVEL": "ERROR"}

    def close(self) -> None:
        super().close()
        self._private.cleanup()

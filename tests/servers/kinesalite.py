"""A Kinesis of the test's own: kinesalite in one child process on a free loopback port.

``with KinesaliteServer() as kinesis:`` starts it, waits until it answers, and ends it by its process id. It comes from
npm, once, into ``~/.cache/rie-server-tests``; it is fetched only where ``RIE_REQUIRE`` names ``kinesalite``.
"""

from pathlib import Path

from tests.servers.emulator import KinesisEmulator
from tests.servers.npm import npm_package

VERSION = "3.3.3"
# Its own command line would listen on every interface.
_SCRIPT = """
const server = require('kinesalite')({createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 100})
server.listen(Number(process.argv[1]), '127.0.0.1')
"""


class KinesaliteServer(KinesisEmulator):
    def __init__(self, port: int | None = None) -> None:
        self._packages = npm_package("kinesalite", VERSION)
        super().__init__("kinesalite", port)

    def _command(self) -> list[str]:
        return ["node", "-e", _SCRIPT, str(self.port)]

    def _folder(self) -> Path:
        return self._packages

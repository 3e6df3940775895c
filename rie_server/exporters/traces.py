"""Sends sampled invocations away: to X-Ray's daemon in UDP datagrams, or as OpenTelemetry's spans over OTLP/HTTP.

The thread ``traces`` sends what has gathered for a moment. What waits is bounded, the oldest gives way, and whoever is
away costs nothing but its traces: nobody repeats. Fills ``observing.TraceExport``; thread-safe.
"""

import contextlib
import http.client
import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from rie_server.model.otlp_spans import export_request
from rie_server.model.traced_invocation import TracedInvocation, segment_documents
from rie_server.ports import Clock

GATHERING_SECONDS = 0.2
WAITING = 10_000
AT_ONCE = 256
TIMEOUT_SECONDS = 5.0
DATAGRAM_BYTES = 64_000
_DAEMON_HEAD = b'{"format":"json","version":1}\n'

log = logging.getLogger(__name__)

Send = Callable[[Sequence[TracedInvocation]], None]


class TraceExporter:
    """
    Args:
        senders: each gets every invocation.
    """

    def __init__(self, *, senders: Sequence[Send], clock: Clock) -> None:
        self._senders = senders
        self._clock = clock
        self._waiting: deque[TracedInvocation] = deque(maxlen=WAITING)
        self._wake = threading.Event()
        self._closing = False
        self._troubled = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, traced: TracedInvocation) -> None:
        self._waiting.append(traced)
        self._wake.set()

    def close(self) -> None:
        """Sends what is left, once."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(2 * TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            if not self._closing:
                self._clock.sleep(GATHERING_SECONDS)
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while batch := self._batch():
            for send in self._senders:
                try:
                    send(batch)
                except (OSError, http.client.HTTPException) as refused:
                    if not self._troubled:
                        log.warning("Traces are not taken: %s", refused)
                    self._troubled = True
                else:
                    self._troubled = False

    def _batch(self) -> list[TracedInvocation]:
        batch: list[TracedInvocation] = []
        with contextlib.suppress(IndexError):
            while len(batch) < AT_ONCE:
                batch.append(self._waiting.popleft())
        return batch


class DaemonSender:
    """One datagram for each segment, as X-Ray's own SDKs send them."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def __call__(self, batch: Sequence[TracedInvocation]) -> None:
        family, kind, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sender:
            for traced in batch:
                for document in segment_documents(traced):
                    datagram = _DAEMON_HEAD + json.dumps(document, separators=(",", ":")).encode()
                    if len(datagram) <= DATAGRAM_BYTES:
                        sender.sendto(datagram, address)


class OtlpSender:
    """
    Args:
        endpoint: of a collector, ``http://host:4318``; ``/v1/traces`` is added as OpenTelemetry says.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host = parts.netloc
        self._path = f"{parts.path.rstrip('/')}/v1/traces"

    def __call__(self, batch: Sequence[TracedInvocation]) -> None:
        body = json.dumps(export_request(batch), separators=(",", ":")).encode()
        connection = self._connection(self._host, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            if response.status >= 400:
                raise OSError(f"the collector answers {response.status}")
        finally:
            connection.close()

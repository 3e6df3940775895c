"""One connection to ActiveMQ, by STOMP, that consumes one queue.

stomp.py reads on a thread that it starts here under a name of ours, and lets any thread write. A connection that has
ended stays ended; its owner opens another.
"""

import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import stomp
from stomp.exception import StompException

from rie_server.errors import SourceError
from rie_server.model.broker_address import BrokerAddress
from rie_server.sources.access import AUTHENTICATION, AUTHORIZATION, CONFIGURATION

CONNECT_SECONDS = 10.0
HEARTBEAT_MS = 30_000
SUBSCRIPTION = "1"
SUBSCRIBED, GOODBYE = "subscribed", "goodbye"

# What it has to say is said by whoever polls, as LastProcessingResult.
logging.getLogger("stomp").setLevel(logging.CRITICAL)
logging.getLogger("stomp.py").setLevel(logging.CRITICAL)

OnMessage = Callable[[Mapping[str, str], bytes], None]


class ActiveMqConnection(stomp.ConnectionListener):  # type: ignore[misc]
    """
    Args:
        on_message: called with headers and body on the connection's own thread.
        on_end: called with the reason when the connection has ended, however it did.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        queue: str,
        prefetch: int,
        on_message: OnMessage,
        on_end: Callable[[SourceError], None],
    ) -> None:
        self._address = address
        self._queue = queue
        self._prefetch = prefetch
        self._receive = on_message
        self._on_end = on_end
        self._settled = threading.Event()
        self._goodbye = threading.Event()
        self._failure: SourceError | None = None
        self._thread: threading.Thread | None = None
        self._connection = stomp.Connection12(
            [(address.host, address.port)],
            prefer_localhost=False,
            try_loopback_connect=False,
            reconnect_attempts_max=1,
            reconnect_sleep_initial=0,
            heartbeats=(HEARTBEAT_MS, HEARTBEAT_MS),
            auto_decode=False,
        )
        self._connection.transport.override_threading(self._start_thread)
        self._connection.set_listener("source", self)
        if address.uses_tls:
            self._connection.set_ssl([(address.host, address.port)], ca_certs=_authorities())

    def open(self) -> None:
        """Returns once the queue is consumed.

        Raises:
            SourceError: with the broker's own words.
        """
        auth = self._address.auth
        if auth is None:
            raise SourceError(f"{CONFIGURATION} SourceAccessConfigurations have no BASIC_AUTH.", passes=False)
        try:
            self._connection.connect(auth.username, auth.password)
            self._wait("does not answer")
            self._settled.clear()
            self._connection.subscribe(
                f"/queue/{self._queue}",
                SUBSCRIPTION,
                ack="client-individual",
                headers={"activemq.prefetchSize": str(self._prefetch), "receipt": SUBSCRIBED},
            )
            self._wait("does not let the queue be consumed")
        except (StompException, OSError) as trouble:
            self.close()
            raise self._failure or SourceError(f"The broker at {self._place} cannot be reached: {trouble}") from trouble
        except SourceError:
            self.close()
            raise

    def acknowledge(self, identifiers: Sequence[str]) -> bool:
        """False where the connection is gone: the broker delivers the messages again."""
        return self._send(identifiers, self._connection.ack)

    def refuse(self, identifiers: Sequence[str]) -> bool:
        """The broker moves the messages to its dead-letter queue, or drops those that are not persistent."""
        return self._send(identifiers, self._connection.nack)

    def close(self) -> None:
        """Sends what is to be acknowledged, then ends; the broker gets back all else. Idempotent."""
        if self._connection.is_connected():
            with contextlib.suppress(StompException, OSError):
                stomp.connect.Protocol12.disconnect(self._connection, GOODBYE)
                self._goodbye.wait(CONNECT_SECONDS)
        self._connection.transport.disconnect_socket()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CONNECT_SECONDS)

    # --- called by stomp.py, on the connection's own thread -----------------------------------------------------------

    def on_connected(self, _frame: Any) -> None:
        self._settled.set()

    def on_message(self, frame: Any) -> None:
        body = frame.body.encode() if isinstance(frame.body, str) else bytes(frame.body or b"")
        self._receive(frame.headers, body)

    def on_receipt(self, frame: Any) -> None:
        (self._goodbye if frame.headers.get("receipt-id") == GOODBYE else self._settled).set()

    def on_error(self, frame: Any) -> None:
        text = str(frame.headers.get("message") or frame.body)
        if "User name" in text or "password is invalid" in text:
            self._end(SourceError(f"{AUTHENTICATION} {text}", passes=False))
        elif "not authorized" in text:
            self._end(SourceError(f"{AUTHORIZATION} {text}", passes=False))
        else:
            self._end(SourceError(f"The broker at {self._place} has refused: {text}"))

    def on_disconnected(self) -> None:
        self._end(SourceError(f"The connection to the broker at {self._place} was lost."))
        self._goodbye.set()

    def _end(self, failure: SourceError) -> None:
        if self._failure is None:
            self._failure = failure
            self._on_end(failure)
        self._settled.set()

    def _start_thread(self, run: Callable[[], None]) -> threading.Thread:
        self._thread = threading.Thread(target=run, name=f"activemq-{self._queue}", daemon=True)
        self._thread.start()
        return self._thread

    def _wait(self, otherwise: str) -> None:
        if not self._settled.wait(CONNECT_SECONDS):
            raise SourceError(f"The broker at {self._place} {otherwise}.")
        if self._failure is not None:
            raise self._failure

    def _send(self, identifiers: Sequence[str], send: Callable[[str], None]) -> bool:
        try:
            for identifier in identifiers:
                send(identifier)
        except (StompException, OSError):
            return False
        return self._failure is None

    @property
    def _place(self) -> str:
        return f"{self._address.host}:{self._address.port}"


def _authorities() -> str | None:
    """Without a file of authorities stomp.py would trust anybody."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile

"""Delivers telemetry to listeners inside execution environments, over HTTP or TCP.

The only addresses that are ever connected to are those of the environments themselves: its own IP for a container, its
own loopback address or else 127.0.0.1 for a process. The host name in a subscription is for the ``Host`` header. One
connection for each subscriber is kept; what an HTTP listener answers with anything but 2xx counts as not taken.
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Sequence

from rie_server.model.telemetry_subscription import ListenerAddress
from rie_server.observing import TelemetryConnection

CONNECT_SECONDS = 2.0

AddressesOf = Callable[[str], Sequence[str]]


class EnvironmentListeners:
    """Fills ``observing.TelemetryConnector``.

    Args:
        addresses_of: the IP addresses at which an environment can be reached, to be tried in order; none when it has
            ended.
    """

    def __init__(self, addresses_of: AddressesOf) -> None:
        self._addresses_of = addresses_of

    def connect(self, environment_id: str, listener: ListenerAddress) -> TelemetryConnection:
        dial = Dial(environment_id, listener.port, self._addresses_of)
        return TcpListener(dial) if listener.protocol == "TCP" else HttpListener(dial, listener)


class Dial:
    """Connects to one port of one environment, and ends the connection from another thread."""

    def __init__(self, environment_id: str, port: int, addresses_of: AddressesOf) -> None:
        self._environment_id = environment_id
        self._port = port
        self._addresses_of = addresses_of
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False

    def __call__(self) -> socket.socket:
        """A new connection.

        Raises:
            OSError: nobody listens, or the environment has ended.
        """
        connected = self._connect()
        # An environment that is frozen takes what it is sent when it thaws: sent again, it would have it twice.
        connected.settimeout(None)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._socket = connected
            closed = self._closed
        if closed:
            connected.close()
            raise ConnectionAbortedError("the environment has ended")
        return connected

    def _connect(self) -> socket.socket:
        refusal: OSError = ConnectionRefusedError("the environment has ended")
        for address in () if self._closed else self._addresses_of(self._environment_id):
            try:
                return socket.create_connection((address, self._port), CONNECT_SECONDS)
            except OSError as refused:
                refusal = refused
        raise refusal

    def hang_up(self) -> None:
        """Ends a call that is under way."""
        with self._lock:
            self._closed = True
            connected = self._socket
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


class HttpListener:
    """A batch is a JSON array in one request."""

    def __init__(self, dial: Dial, listener: ListenerAddress) -> None:
        self._dial = dial
        self._listener = listener
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[bytes]) -> None:
        body = b"[" + b",".join(events) + b"]"
        is_fresh = self._connection is None
        try:
            self._request(body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._drop()
            if is_fresh:
                raise
            # A listener may close a connection that was idle, and nobody can know before the next request.
            self._send(body)
        except (OSError, http.client.HTTPException) as refused:
            self._drop()
            raise _as_os_error(refused) from refused

    def close(self) -> None:
        self._dial.hang_up()

    def _send(self, body: bytes) -> None:
        try:
            self._request(body)
        except (OSError, http.client.HTTPException) as refused:
            self._drop()
            raise _as_os_error(refused) from refused

    def _request(self, body: bytes) -> None:
        listener = self._listener
        connection = self._connection
        if connection is None:
            connection = http.client.HTTPConnection(listener.host, listener.port)
            connection.sock = self._dial()
            self._connection = connection
        connection.request(listener.method, listener.target, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.will_close:
            self._drop()
        if not 200 <= response.status < 300:
            raise OSError(f"the listener answers {response.status}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class TcpListener:
    """Events in JSON, one a line."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._socket: socket.socket | None = None

    def send(self, events: Sequence[bytes]) -> None:
        if self._socket is not None and _has_ended(self._socket):
            self._drop()
        if self._socket is None:
            self._socket = self._dial()
        try:
            self._socket.sendall(b"\n".join(events) + b"\n")
        except OSError:
            self._drop()
            raise

    def close(self) -> None:
        self._dial.hang_up()

    def _drop(self) -> None:
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()


def _has_ended(connected: socket.socket) -> bool:
    """Whether the listener has closed its end; it sends nothing, so that is all there can be to read."""
    connected.settimeout(0.0)
    try:
        return connected.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connected.settimeout(None)


def _as_os_error(refused: Exception) -> OSError:
    return refused if isinstance(refused, OSError) else OSError(str(refused))

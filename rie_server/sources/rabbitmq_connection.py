"""One connection to RabbitMQ that consumes one queue.

pika's connections belong to one thread: that thread runs the connection's event loop, and everybody else hands it what
is to be done. Heartbeats go on however long a function takes. A connection that has ended stays ended; its owner opens
another.
"""

import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pika
from pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ConnectionWrongStateError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from rie_server.errors import SourceError
from rie_server.model.broker_address import BrokerAddress
from rie_server.model.rabbitmq_message import MessageHead, message_head
from rie_server.sources.access import AUTHENTICATION, AUTHORIZATION, CONFIGURATION
from rie_server.sources.rabbitmq_deliveries import Delivered, DeliveringConnection, DeliveryReader

CONNECT_SECONDS = 10.0
HEARTBEAT_SECONDS = 60
HEADS_REMEMBERED, HEAD_BYTES_REMEMBERED = 256, 1024
NOT_FOUND, ACCESS_REFUSED, NOT_ALLOWED = 404, 403, 530

# What it has to say is said by whoever polls, as LastProcessingResult.
logging.getLogger("pika").setLevel(logging.CRITICAL)

# Delivery tag, whether it has been delivered before, properties, body.
Message = tuple[int, bool, MessageHead, bytes]
OnMessages = Callable[[Sequence[Message]], None]


class RabbitMqConnection:
    """
    Args:
        on_messages: called with some messages in their order, on the connection's own thread.
        on_end: called once with the reason when the connection has ended, however it did.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        virtual_host: str,
        queue: str,
        prefetch: int,
        on_messages: OnMessages,
        on_end: Callable[[SourceError], None],
    ) -> None:
        self._address = address
        self._virtual_host = virtual_host
        self._queue = queue
        self._prefetch = prefetch
        self._on_messages = on_messages
        self._on_end = on_end
        self._settled = threading.Event()
        self._failure: SourceError | None = None
        self._is_closing = False
        self._waiting = 0
        # Delivery tags in the order of their coming; the connection's own thread alone knows them.
        self._unsettled: dict[int, None] = {}
        self._heads: dict[bytes, MessageHead] = {}
        self._connection: Any = None
        self._channel: Any = None
        self._thread = threading.Thread(target=self._run, name=f"rabbitmq-{queue}", daemon=True)

    def open(self) -> None:
        """Returns once the queue is consumed.

        Raises:
            SourceError: with the broker's own words.
        """
        self._thread.start()
        if not self._settled.wait(CONNECT_SECONDS):
            # Ended for good: a consumer that came to be later would keep messages that nobody takes.
            self.close()
            raise SourceError(f"The broker at {self._place} does not answer.")
        if self._failure is not None:
            self.close()
            raise self._failure

    @property
    def messages_waiting(self) -> int:
        """As the broker last said."""
        return self._waiting

    def acknowledge(self, tags: Sequence[int]) -> bool:
        """False where the connection is gone: the broker delivers the messages again."""
        return self._on_owner(lambda: self._settle(tags, self._channel.basic_ack))

    def requeue(self, tags: Sequence[int]) -> bool:
        def nack(delivery_tag: int, multiple: bool) -> None:
            self._channel.basic_nack(delivery_tag, multiple=multiple, requeue=True)

        return self._on_owner(lambda: self._settle(tags, nack))

    def ask_waiting(self) -> None:
        """Asks how many messages wait; the answer is ``messages_waiting``, later."""

        def declared(method: Any) -> None:
            self._waiting = method.method.message_count

        self._on_owner(lambda: self._channel.queue_declare(self._queue, passive=True, callback=declared))

    def close(self) -> None:
        """Sends what is to be acknowledged, then ends; the broker gets back all else. Idempotent."""
        if not self._thread.is_alive():
            return

        self._is_closing = True

        def end() -> None:
            with contextlib.suppress(ConnectionWrongStateError):
                self._connection.close()
                return
            self._connection.ioloop.stop()

        self._on_owner(end)
        self._thread.join(CONNECT_SECONDS)

    # --- on the connection's own thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._connection = DeliveringConnection(
                self._parameters(),
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._channel_open),
                on_open_error_callback=self._not_opened,
                on_close_callback=lambda _, reason: self._ended(self._told(reason)),
            )
            if self._is_closing:
                return
            self._connection.ioloop.start()
        except Exception as trouble:
            self._ended(self._told(trouble))
        finally:
            self._ended(SourceError(f"The connection to the broker at {self._place} has ended."))
            if self._connection is not None:
                with contextlib.suppress(Exception):
                    self._connection.ioloop.close()

    def _parameters(self) -> Any:
        auth = self._address.auth
        if auth is None:
            raise SourceError(f"{CONFIGURATION} SourceAccessConfigurations have no BASIC_AUTH.", passes=False)
        host = self._address.host
        return pika.ConnectionParameters(
            host,
            self._address.port,
            self._virtual_host,
            pika.PlainCredentials(auth.username, auth.password),
            heartbeat=HEARTBEAT_SECONDS,
            ssl_options=pika.SSLOptions(ssl.create_default_context(), host) if self._address.uses_tls else None,
            socket_timeout=CONNECT_SECONDS / 2,
            stack_timeout=CONNECT_SECONDS,
            client_properties={"connection_name": "AWS Lambda event source mapping"},
        )

    def _channel_open(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(lambda _: self._stop(self._missing_queue()))
        channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: self._look())

    def _look(self) -> None:
        self._channel.queue_declare(self._queue, passive=True, callback=self._consume)

    def _consume(self, declared: Any) -> None:
        self._waiting = declared.method.message_count
        self._channel.basic_consume(self._queue, self._delivered, callback=self._consumed)

    def _consumed(self, consuming: Any) -> None:
        reader = DeliveryReader(self._channel.channel_number, consuming.method.consumer_tag)
        self._connection.deliver(reader, self._received)
        self._settled.set()

    def _received(self, messages: Sequence[Delivered]) -> None:
        heads = self._heads
        known: list[Message] = []
        for tag, redelivered, properties, body in messages:
            known.append((tag, redelivered, heads.get(properties) or self._head(properties), body))
            self._unsettled[tag] = None
        self._on_messages(known)

    def _head(self, properties: bytes) -> MessageHead:
        """Of properties as they were sent; most messages of a queue have the same."""
        head = message_head(pika.BasicProperties().decode(properties))
        if len(properties) <= HEAD_BYTES_REMEMBERED:
            if len(self._heads) >= HEADS_REMEMBERED:
                self._heads.clear()
            self._heads[properties] = head
        return head

    def _delivered(self, _channel: Any, deliver: Any, properties: Any, body: bytes) -> None:
        """A message that pika has read: a large one, or the first."""
        self._unsettled[deliver.delivery_tag] = None
        self._on_messages([(deliver.delivery_tag, deliver.redelivered, message_head(properties), body)])

    def _not_opened(self, _connection: Any, reason: Any) -> None:
        self._ended(self._told(reason))
        self._connection.ioloop.stop()

    def _channel_closed(self, _channel: Any, reason: Any) -> None:
        """A broker closes the channel for a missing queue and for one that this user may not read."""
        self._stop(self._told(reason))

    def _stop(self, failure: SourceError) -> None:
        self._ended(failure)
        with contextlib.suppress(ConnectionWrongStateError):
            self._connection.close()

    def _ended(self, failure: SourceError) -> None:
        if self._failure is None:
            self._failure = failure
            self._on_end(failure)
        self._settled.set()
        connection = self._connection
        if connection is not None and connection.is_closed:
            connection.ioloop.stop()

    def _settle(self, tags: Sequence[int], settle: Callable[[int, bool], None]) -> None:
        """What came first and is all there takes one frame, the rest one each."""
        ordered = sorted(tags)
        together = 0
        for tag, first in zip(ordered, self._unsettled, strict=False):
            if tag != first:
                break
            together += 1
        if together:
            settle(ordered[together - 1], True)
        for tag in ordered[together:]:
            settle(tag, False)
        for tag in ordered:
            self._unsettled.pop(tag, None)

    def _on_owner(self, act: Callable[[], None]) -> bool:
        connection = self._connection
        if connection is None or self._failure is not None:
            return False

        def run() -> None:
            with contextlib.suppress(AMQPError):
                act()

        try:
            connection.ioloop.add_callback_threadsafe(run)
        except Exception:  # the loop has been closed in between
            return False
        return True

    # --- in words -----------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _missing_queue(self) -> SourceError:
        return SourceError(f"{CONFIGURATION} The queue {self._queue} was deleted.")

    def _told(self, reason: Any) -> SourceError:
        """What has happened, for LastProcessingResult."""
        while getattr(reason, "exceptions", None):
            reason = reason.exceptions[-1]
        while isinstance(getattr(reason, "exception", None), BaseException):
            reason = reason.exception
        if isinstance(reason, SourceError):
            return reason
        code, text = getattr(reason, "reply_code", None), getattr(reason, "reply_text", None) or str(reason)
        if isinstance(reason, (ProbableAuthenticationError, AuthenticationError)) or (
            code == ACCESS_REFUSED and "Login was refused" in text
        ):
            return SourceError(f"{AUTHENTICATION} {text}", passes=False)
        if isinstance(reason, ProbableAccessDeniedError) or code == ACCESS_REFUSED:
            return SourceError(f"{AUTHORIZATION} {text}", passes=False)
        if code in (NOT_FOUND, NOT_ALLOWED):
            return SourceError(f"{CONFIGURATION} {text}", passes=False)
        return SourceError(f"The broker at {self._place} cannot be reached: {text or type(reason).__name__}")

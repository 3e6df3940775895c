"""Composition root: what the pollers of every kind of event source are made with."""

from dataclasses import dataclass

from rie_server.aws_clients import ServiceClients
from rie_server.config import Settings
from rie_server.polling import CheckpointStore, PollObserver
from rie_server.ports import Clock, Destinations, FunctionCatalog, Invoker

# The longest that SQS lets a call wait, and connections: each poller that waits for messages holds one.
LONG_POLL_SECONDS = 20.0
QUEUE_CONNECTIONS = 1000
# Kinesis sends an event every few seconds, also where nothing arrives.
PUSH_SECONDS = 30.0
STREAM_CONNECTIONS = 200


class SourceClients:
    """Clients of AWS's services for everything that sources ask; ``polls`` is for calls that wait for messages,
    ``streams`` for those that read shards, ``pushes`` for shards that are sent.
    """

    def __init__(self) -> None:
        self.calls = ServiceClients()
        self.streams = ServiceClients(connections=STREAM_CONNECTIONS, plain_timestamps=True)
        self.pushes = ServiceClients(
            long_poll_seconds=PUSH_SECONDS, connections=QUEUE_CONNECTIONS, plain_timestamps=True
        )
        self.polls = ServiceClients(long_poll_seconds=LONG_POLL_SECONDS, connections=QUEUE_CONNECTIONS)

    def close(self) -> None:
        self.calls.close()
        self.streams.close()
        self.pushes.close()
        self.polls.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerTools:
    """What pollers are made with.

    Attributes:
        clock: the server's time, for what AWS calls a window, an age or a backoff.
        real: for deadlines, long polls and drains.
        clients: whoever made them closes them.
        invocations_most: that this server can run at a time.
    """

    settings: Settings
    invoker: Invoker
    catalog: FunctionCatalog
    observer: PollObserver
    checkpoints: CheckpointStore
    destinations: Destinations
    clock: Clock
    real: Clock
    clients: SourceClients
    invocations_most: int

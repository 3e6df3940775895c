"""A topic that holds many records, and mappings with batches of 1, 10 and 500: how fast a function gets them.

The broker is a real one, of the benchmark's own, with topics of four partitions. Next to the server stand loops of the
same client, each one process. The bare one is what somebody writes who has no Lambda: ``consume(500)``, a look at each
message, a commit after each batch, and the client's own settings throughout; it throws the messages away. With these
settings librdkafka stops fetching for a second whenever 64 MB wait, so that a loop that is done sooner stands still:
another one sets ``fetch.queue.backoff.ms`` as the server does. The third makes of each batch the event that a function
gets and has a function read it, with the same JSON libraries as server and runtime have; it hands its events to no
other process, and the server does. Every clock starts with the first records that are read, and stops when every
record has been processed; what the function has been given before that does not count.
"""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.mappings import PATH, consumed, polled, wait_for
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "kafka"
TITLE = "Records of Kafka, batches of 1, 10 and 500"
CLAIM = "at least 0.90 of the records per second of a bare confluent-kafka loop, with batches of 500"
OBSTACLE = (
    "The function reads each record out of the event, on the same processors: its json.loads takes as long as "
    "librdkafka and the broker together, and the bare loop reads nothing."
)
FUNCTION = "bench"
BATCH = 500
PARTITIONS = 4
BODY = b'{"order": "0123456789", "text": "' + 165 * b"x" + b'"}'
BARE, EAGER, LOOP = "bare consumer", "bare consumer that fetches at once", "consumer with events"
OURS = "server, batches of {}"
METRIC = "records per second"
ROUNDS_AT_MOST = 5
# By batch size, as multiples of the effort's events. Fewer than 400,000 fit into what librdkafka fetches ahead.
RECORDS = {1: 1, 10: 5, BATCH: 60}
RECORDS_AT_LEAST = {1: 2_000, 10: 10_000, BATCH: 400_000}


def run(effort: Effort) -> ScenarioResult:
    try:
        from tests.servers.kafka import KafkaServer  # noqa: PLC0415 - needs pytest

        broker = KafkaServer()
    except BaseException as missing:  # pytest's own way to say that a server is not there
        if isinstance(missing, KeyboardInterrupt):
            raise
        return skipped(NAME, TITLE, CLAIM, str(missing))
    with broker, running_server() as server:
        server.create_function(FUNCTION)
        topics = {size: _filled_topic(broker, records) for size, records in _records(effort).items()}
        measures = {
            BARE: partial(_bare, broker, *topics[BATCH]),
            EAGER: partial(_bare, broker, *topics[BATCH], settings={"fetch.queue.backoff.ms": 10}),
            LOOP: partial(_bare, broker, *topics[BATCH], events=True),
            **{
                OURS.format(size): partial(_mapped, server, broker, *topic, batch=size)
                for size, topic in topics.items()
            },
        }
        _mapped(server, broker, *topics[10], batch=10)
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    ours = OURS.format(BATCH)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        obstacle=OBSTACLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=ours, to=BARE, limit=0.90, at_least=True),
            ratio_check(series, metric=METRIC, of=ours, to=EAGER),
            ratio_check(series, metric=METRIC, of=ours, to=LOOP),
        ),
        notes=(
            f"Records of {len(BODY)} bytes, {PARTITIONS} partitions, a function that does nothing; "
            + ", ".join(f"{count:,} in batches of {size}" for size, count in _records(effort).items())
            + ".",
            "The bare loop consumes 500, throws them away and commits, with the client's own settings; it stands still",
            "for a second whenever 64 MB wait. The one that fetches at once has one setting more, and none has to feed",
            "a function: the server's runs in processes of its own, which take processor time from it.",
        ),
    )


def _records(effort: Effort) -> Mapping[int, int]:
    """How many records there are, by batch size."""
    return {size: max(RECORDS_AT_LEAST[size], times * effort.queued_events) for size, times in RECORDS.items()}


def _filled_topic(broker: Any, records: int) -> tuple[str, int]:
    """A new topic with so many records, and how many they are."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, PARTITIONS)
    broker.produce(topic, ({"value": BODY, "partition": number % PARTITIONS} for number in range(records)))
    return topic, records


def _bare(
    broker: Any, topic: str, records: int, *, settings: Mapping[str, Any] | None = None, events: bool = False
) -> Metrics:
    plan = {"servers": broker.plaintext, "topic": topic, "group": uuid.uuid4().hex, "messages": records}
    plan |= {"batch": BATCH, "events": events, "settings": settings or {}}
    return consumed("benchmarks.bare_kafka_consumer", plan, metric=METRIC, count=records)


def _mapped(server: Server, broker: Any, topic: str, records: int, *, batch: int) -> Metrics:
    name = _mapping(server, broker, topic, batch)
    return polled(
        server,
        FUNCTION,
        name,
        begin=lambda: wait_for(server, name, lambda one: one["counts"]["polled"] > 0)["counts"]["invoked"],
        is_through=lambda one: one["counts"]["invoked"] >= records and not one["in_flight"],
        metric=METRIC,
        count=records,
    )


def _mapping(server: Server, broker: Any, topic: str, batch: int) -> str:
    network = [{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}, {"Type": "VPC_SECURITY_GROUP", "URI": "sg-1"}]
    made = server.call(
        "POST",
        PATH,
        {
            "FunctionName": FUNCTION,
            "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [broker.plaintext]}},
            "Topics": [topic],
            "StartingPosition": "TRIM_HORIZON",
            "SourceAccessConfigurations": network,
            "BatchSize": batch,
        },
    )
    return str(made["UUID"])

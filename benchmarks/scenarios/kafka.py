"""A topic that holds many records and a mapping with batches of 500: how fast a function gets them.

The broker is a real one, of the benchmark's own, with a topic of four partitions. Next to the server stand two loops of
the same client, each one process: one throws its batches away, one makes of each the event that a function gets and
has a function read it, with the same JSON libraries as server and runtime have. Whatever polls Kafka for Lambda does at
least that, so that is what is promised. Neither hands its events to another process, and the server does.
Every clock starts with the first record that is read, and stops when every record has been processed.
"""

import uuid
from functools import partial
from typing import Any

from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.mappings import PATH, consumed, polled, wait_for
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "kafka"
TITLE = "Records of Kafka, batches of 500"
CLAIM = "at least 0.70 of the records per second of a bare confluent-kafka loop that makes the same events"
FUNCTION = "bench"
BATCH = 500
PARTITIONS = 4
BODY = b'{"order": "0123456789", "text": "' + 165 * b"x" + b'"}'
BARE, LOOP, OURS = "bare consumer", "consumer with events", "server"
METRIC = "records per second"
ROUNDS_AT_MOST = 5


def run(effort: Effort) -> ScenarioResult:
    try:
        from tests.servers.kafka import KafkaServer  # noqa: PLC0415 - needs pytest

        broker = KafkaServer()
    except BaseException as missing:  # pytest's own way to say that a server is not there
        if isinstance(missing, KeyboardInterrupt):
            raise
        return skipped(NAME, TITLE, CLAIM, str(missing))
    records = 10 * effort.queued_events
    with broker, running_server() as server:
        server.create_function(FUNCTION)
        measures = {
            BARE: partial(_bare, broker, records=records, events=False),
            LOOP: partial(_bare, broker, records=records, events=True),
            OURS: partial(_mapped, server, broker, records=records),
        }
        _mapped(server, broker, records=4 * BATCH)
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=OURS, to=LOOP, limit=0.70, at_least=True),
            ratio_check(series, metric=METRIC, of=OURS, to=BARE),
        ),
        notes=(
            f"{records:,} records of {len(BODY)} bytes, {PARTITIONS} partitions; the handler does nothing.",
            "The bare loop throws a batch away and commits it; the one with events makes of it what a function gets,",
            "as JSON (orjson) and back (json), in one process. The server's function is a process of its own.",
        ),
    )


def _filled_topic(broker: Any, records: int) -> str:
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, PARTITIONS)
    broker.produce(topic, ({"value": BODY, "partition": number % PARTITIONS} for number in range(records)))
    return topic


def _bare(broker: Any, *, records: int, events: bool) -> Metrics:
    topic = _filled_topic(broker, records)
    plan = {"servers": broker.plaintext, "topic": topic, "group": topic, "messages": records, "batch": BATCH}
    return consumed("benchmarks.bare_kafka_consumer", {**plan, "events": events}, metric=METRIC, count=records)


def _mapped(server: Server, broker: Any, *, records: int) -> Metrics:
    name = _mapping(server, broker, _filled_topic(broker, records))
    return polled(
        server,
        FUNCTION,
        name,
        begin=lambda: wait_for(server, name, lambda one: one["counts"]["polled"] > 0),
        is_through=lambda one: one["counts"]["invoked"] >= records and not one["in_flight"],
        metric=METRIC,
        count=records,
    )


def _mapping(server: Server, broker: Any, topic: str) -> str:
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
            "BatchSize": BATCH,
        },
    )
    return str(made["UUID"])

"""A full queue of RabbitMQ and a mapping with batches of 500: how fast a function gets it all, next to a bare consumer.

The broker is a real one, of the benchmark's own; messages are persistent. Next to the server stand consumers of the
same client: one acknowledges each message, as pika's documentation does, one a batch at once, and both throw the
messages away; the third makes of each batch the event that a function gets and has a function read it, with the same
JSON libraries as server and runtime have. Whatever polls RabbitMQ for Lambda does at least that, so that is what is
promised. The clock starts when the mapping is enabled, or the bare consumer connects, and stops when every message has
been acknowledged.
"""

import uuid
from functools import partial
from importlib.util import find_spec

from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.mappings import PATH, consumed, polled, wait_for
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "rabbitmq"
TITLE = "Messages of RabbitMQ, batches of 500"
CLAIM = "at least 0.70 of the messages per second of a bare pika consumer of batches that makes the same events"
FUNCTION = "bench"
BATCH = 500
BODY = b'{"order": "0123456789", "text": "' + 165 * b"x" + b'"}'
BARE, BARE_BATCHES, LOOP, OURS = "bare consumer", "bare consumer of batches", "consumer with events", "server"
METRIC = "messages per second"
ROUNDS_AT_MOST = 5
ARN = "arn:aws:mq:us-east-1:000000000000:broker:bench:b-1"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:unused"


def run(effort: Effort) -> ScenarioResult:
    from tests.servers import rabbitmq  # noqa: PLC0415 - needs pytest

    if find_spec("pika") is None or not rabbitmq.SERVER.exists():
        return skipped(NAME, TITLE, CLAIM, "no pika or no rabbitmq-server")
    messages = max(20_000, 4 * effort.queued_events)
    with rabbitmq.RabbitMqServer() as broker:
        url = f"amqp://{rabbitmq.USER}:{rabbitmq.PASSWORD}@127.0.0.1:{broker.port}"
        with running_server(flags=(f"--mq-endpoints={ARN}={url}",)) as server:
            server.create_function(FUNCTION)
            measures = {
                BARE: partial(_bare, url, messages=messages, batch=1),
                BARE_BATCHES: partial(_bare, url, messages=messages, batch=BATCH),
                LOOP: partial(_bare, url, messages=messages, batch=BATCH, events=True),
                OURS: partial(_mapped, server, url, messages=messages),
            }
            _mapped(server, url, messages=2 * BATCH)
            series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=OURS, to=LOOP, limit=0.70, at_least=True),
            ratio_check(series, metric=METRIC, of=OURS, to=BARE),
            ratio_check(series, metric=METRIC, of=OURS, to=BARE_BATCHES),
        ),
        notes=(
            f"{messages:,} persistent messages of {len(BODY)} bytes in each round; the handler does nothing.",
            "The bare consumer acknowledges each message, as pika's documentation does; that of batches, 500 at once.",
            "Both throw the messages away; that with events makes events of 500, as JSON (orjson) and back (json).",
            "AWS runs one batch of a RabbitMQ mapping at a time, and so does the server.",
        ),
    )


def _filled_queue(url: str, messages: int) -> str:
    """The name of a queue with as many messages."""
    import pika  # noqa: PLC0415 - an extra

    queue = f"bench-{uuid.uuid4().hex[:8]}"
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(queue, durable=True)
    channel.tx_select()
    for _ in range(messages):
        channel.basic_publish("", queue, BODY, pika.BasicProperties(delivery_mode=2, content_type="application/json"))
    channel.tx_commit()
    connection.close()
    return queue


def _bare(url: str, *, messages: int, batch: int, events: bool = False) -> Metrics:
    plan = {"url": url, "queue": _filled_queue(url, messages), "messages": messages, "prefetch": 2 * BATCH}
    plan |= {"batch": batch, "events": events}
    return consumed("benchmarks.bare_consumer", plan, metric=METRIC, count=messages)


def _mapped(server: Server, url: str, *, messages: int) -> Metrics:
    name = _mapping(server, _filled_queue(url, messages))
    return polled(
        server,
        FUNCTION,
        name,
        begin=lambda: _enable(server, name),
        is_through=lambda one: one["counts"]["deleted"] >= messages,
        metric=METRIC,
        count=messages,
    )


def _enable(server: Server, name: str) -> None:
    server.call("PUT", f"{PATH}/{name}", {"Enabled": True})


def _mapping(server: Server, queue: str) -> str:
    """A mapping that is still disabled."""
    made = server.call(
        "POST",
        PATH,
        {
            "FunctionName": FUNCTION,
            "EventSourceArn": ARN,
            "Queues": [queue],
            "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": SECRET}],
            "BatchSize": BATCH,
            "Enabled": False,
        },
    )
    name = str(made["UUID"])
    wait_for(server, name, lambda one: one["state"] == "Disabled")
    return name

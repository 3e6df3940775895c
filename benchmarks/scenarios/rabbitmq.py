"""A full queue of RabbitMQ, and mappings with batches of 1, 10 and 500: how fast a function gets it all.

The broker is a real one, of the benchmark's own; messages are persistent. Next to the server stand consumers of the
same client, each one process. The bare one is what somebody writes who has no Lambda: ``basic_consume`` with a callback
that throws the message away and acknowledges 500 of them at once, as a consumer of batches may. The second acknowledges
each message, as pika's documentation does. The third makes of each batch the event that a function gets and has a
function read it, with the same JSON libraries as server and runtime have. The clock starts when the mapping is enabled,
or the consumer connects, and stops when every message has been acknowledged.
"""

import uuid
from functools import partial
from importlib.util import find_spec

from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.mappings import PATH, consumed, polled, wait_for
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "rabbitmq"
TITLE = "Messages of RabbitMQ, batches of 1, 10 and 500"
CLAIM = "at least 0.90 of the messages per second of a bare pika consumer of batches, with batches of 500"
OBSTACLE = (
    "The function reads each message out of the event, on the same processors as broker and server; the bare loop "
    "throws it away."
)
FUNCTION = "bench"
BATCH = 500
BODY = b'{"order": "0123456789", "text": "' + 165 * b"x" + b'"}'
BARE, EACH, LOOP = "bare consumer of batches", "bare consumer of each message", "consumer with events"
OURS = "server, batches of {}"
METRIC = "messages per second"
ROUNDS_AT_MOST = 5
# By batch size. A second's worth, and more than are on their way at a time.
MESSAGES = {1: 2_000, 10: 10_000, BATCH: 40_000}
MESSAGES_OF_EACH = 20_000
ARN = "arn:aws:mq:us-east-1:000000000000:broker:bench:b-1"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:unused"


def run(effort: Effort) -> ScenarioResult:
    from tests.servers import rabbitmq  # noqa: PLC0415 - needs pytest

    if find_spec("pika") is None or not rabbitmq.SERVER.exists():
        return skipped(NAME, TITLE, CLAIM, "no pika or no rabbitmq-server")
    with rabbitmq.RabbitMqServer() as broker:
        url = f"amqp://{rabbitmq.USER}:{rabbitmq.PASSWORD}@127.0.0.1:{broker.port}"
        with running_server(flags=(f"--mq-endpoints={ARN}={url}",)) as server:
            server.create_function(FUNCTION)
            measures = {
                BARE: partial(_bare, url, MESSAGES[BATCH], batch=BATCH),
                EACH: partial(_bare, url, MESSAGES_OF_EACH, batch=1),
                LOOP: partial(_bare, url, MESSAGES[BATCH], batch=BATCH, events=True),
                **{OURS.format(size): partial(_mapped, server, url, batch=size) for size in MESSAGES},
            }
            _mapped(server, url, batch=10)
            series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    ours = OURS.format(BATCH)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        obstacle=OBSTACLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=ours, to=BARE, limit=0.90, at_least=True),
            ratio_check(series, metric=METRIC, of=ours, to=EACH),
            ratio_check(series, metric=METRIC, of=ours, to=LOOP),
        ),
        notes=(
            f"Persistent messages of {len(BODY)} bytes, a function that does nothing: "
            + ", ".join(f"{count:,} in batches of {size}" for size, count in MESSAGES.items())
            + ".",
            "The bare consumer of batches acknowledges 500 at once, the other one each message, as pika's own example",
            "does; both throw messages away. That with events makes events of 500, as JSON (orjson) and back (json).",
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


def _bare(url: str, messages: int, *, batch: int, events: bool = False) -> Metrics:
    plan = {"url": url, "queue": _filled_queue(url, messages), "messages": messages, "prefetch": 2 * BATCH}
    plan |= {"batch": batch, "events": events}
    return consumed("benchmarks.bare_consumer", plan, metric=METRIC, count=messages)


def _mapped(server: Server, url: str, *, batch: int) -> Metrics:
    messages = MESSAGES[batch]
    name = _mapping(server, _filled_queue(url, messages), batch)
    return polled(
        server,
        FUNCTION,
        name,
        begin=lambda: _enable(server, name),
        is_through=lambda one: one["counts"]["deleted"] >= messages,
        metric=METRIC,
        count=messages,
    )


def _enable(server: Server, name: str) -> int:
    server.call("PUT", f"{PATH}/{name}", {"Enabled": True})
    return 0


def _mapping(server: Server, queue: str, batch: int) -> str:
    """A mapping that is still disabled."""
    made = server.call(
        "POST",
        PATH,
        {
            "FunctionName": FUNCTION,
            "EventSourceArn": ARN,
            "Queues": [queue],
            "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": SECRET}],
            "BatchSize": batch,
            "Enabled": False,
        },
    )
    name = str(made["UUID"])
    wait_for(server, name, lambda one: one["state"] == "Disabled")
    return name

"""A bare pika consumer: the least that can empty a queue of RabbitMQ with Python, a batch at a time.

``python -m benchmarks.bare_consumer`` reads one plan (JSON) from standard input and writes one outcome (JSON) to
standard output. It consumes as pika's documentation shows it. It acknowledges each message, as the documentation does,
or so many at a time, as a consumer of batches may. With ``events`` in the plan it makes of each batch what a Lambda
function gets, as JSON, and hands that to a function that does nothing; else it throws the messages away.
"""

import base64
import json
import sys
import time
from typing import Any

import orjson
import pika


def message_of(method: Any, properties: Any, body: bytes) -> dict[str, Any]:
    headers = properties.headers
    return {
        "basicProperties": {
            "contentType": properties.content_type,
            "contentEncoding": properties.content_encoding,
            "headers": headers and {name: {"bytes": list(str(value).encode())} for name, value in headers.items()},
            "deliveryMode": properties.delivery_mode,
            "priority": properties.priority,
            "correlationId": properties.correlation_id,
            "replyTo": properties.reply_to,
            "expiration": properties.expiration,
            "messageId": properties.message_id,
            "timestamp": properties.timestamp and time.ctime(properties.timestamp),
            "type": properties.type,
            "userId": properties.user_id,
            "appId": properties.app_id,
            "clusterId": properties.cluster_id,
            "bodySize": len(body),
        },
        "redelivered": method.redelivered,
        "data": base64.b64encode(body).decode(),
    }


def handler(_event: Any) -> None:
    """What the server's function does, too."""


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan.

    Args:
        plan: ``url`` of the broker; ``queue``; ``messages`` that wait in it; ``prefetch``, how many may be on their
            way; ``batch``, how many are acknowledged at a time; ``events``, whether events are made of them.
    """
    messages, batch, queue = plan["messages"], plan["batch"], plan["queue"]
    seen = 0
    gathered: list[dict[str, Any]] = []

    def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        nonlocal seen
        seen += 1
        if plan["events"]:
            gathered.append(message_of(method, properties, body))
        if seen % batch == 0 or seen == messages:
            if gathered:
                handler(json.loads(orjson.dumps({"rmqMessagesByQueue": {f"{queue}::/": gathered}})))
                gathered.clear()
            channel.basic_ack(method.delivery_tag, multiple=True)
        if seen == messages:
            channel.stop_consuming()

    begun, cpu_begun = time.perf_counter(), time.process_time()
    connection = pika.BlockingConnection(pika.URLParameters(plan["url"]))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=plan["prefetch"])
    channel.basic_consume(queue, on_message)
    channel.start_consuming()
    connection.close()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {"latencies_ns": [], "wall_seconds": wall, "client_cpu_seconds": cpu}


if __name__ == "__main__":
    json.dump(carry_out(json.load(sys.stdin)), sys.stdout)

"""A bare pika consumer: the least that can empty a queue of RabbitMQ with Python, a batch at a time.

``python -m benchmarks.bare_consumer`` reads one plan (JSON) from standard input and writes one outcome (JSON) to
standard output. It consumes as pika's documentation shows it and does nothing with the messages. It acknowledges each
of them, as the documentation does, or so many at a time, as a consumer of batches may.
"""

import json
import sys
import time
from typing import Any

import pika


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan.

    Args:
        plan: ``url`` of the broker; ``queue``; ``messages`` that wait in it; ``prefetch``, how many may be on their
            way; ``batch``, how many are acknowledged at a time.
    """
    messages, batch = plan["messages"], plan["batch"]
    seen = 0

    def on_message(channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % batch == 0 or seen == messages:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if seen == messages:
            channel.stop_consuming()

    begun, cpu_begun = time.perf_counter(), time.process_time()
    connection = pika.BlockingConnection(pika.URLParameters(plan["url"]))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=plan["prefetch"])
    channel.basic_consume(plan["queue"], on_message)
    channel.start_consuming()
    connection.close()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {"wall_seconds": wall, "cpu_seconds": cpu}


if __name__ == "__main__":
    json.dump(carry_out(json.load(sys.stdin)), sys.stdout)

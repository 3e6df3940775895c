"""A consumer loop as somebody would write it who has no Lambda: 500 messages at a time, read, and committed.

``consumer.consume(500, 1.0)``, a look at each message's error and value, ``consumer.commit(asynchronous=False)``; all
settings are the client's own, but for those in the plan. With ``events`` in the plan it makes of each batch what a
Lambda function gets, as JSON, and hands that to a function that does nothing: the least that a bridge from Kafka to a
handler can do. It writes JSON as the server does, with orjson, and reads it as awslambdaric does, with the standard
library. Reads its plan from stdin as JSON, writes what it took to stdout. The clock runs from the first messages to the
last commit: joining the group takes seconds and says nothing of either side.
"""

import base64
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson
from confluent_kafka import Consumer, Message

TIMESTAMP_TYPES = ("NO_TIMESTAMP_TYPE", "CREATE_TIME", "LOG_APPEND_TIME")
STUCK_SECONDS = 30.0


def event_of(messages: Sequence[Message], servers: str) -> dict[str, Any]:
    records: dict[str, list[dict[str, Any]]] = {}
    for one in messages:
        topic, partition, (kind, timestamp) = one.topic(), one.partition(), one.timestamp()
        record = {
            "topic": topic,
            "partition": partition,
            "offset": one.offset(),
            "timestamp": timestamp,
            "timestampType": TIMESTAMP_TYPES[kind],
            "value": base64.b64encode(one.value()).decode(),
            "headers": [{name: list(value)} for name, value in one.headers() or ()],
        }
        if one.key() is not None:
            record["key"] = base64.b64encode(one.key()).decode()
        records.setdefault(f"{topic}-{partition}", []).append(record)
    return {"eventSource": "SelfManagedKafka", "bootstrapServers": servers, "records": records}


def handler(_event: Any) -> None:
    """What the server's function does, too."""


def main() -> None:
    plan = json.load(sys.stdin)
    batch, servers = plan["batch"], plan["servers"]
    settings = {"bootstrap.servers": servers, "group.id": plan["group"], "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "enable.auto.commit": False, **plan["settings"]})
    consumer.subscribe([plan["topic"]])
    done, begun, cpu = 0, 0.0, 0.0
    stuck_at = time.monotonic() + STUCK_SECONDS
    while done < plan["messages"]:
        if time.monotonic() > stuck_at:
            sys.exit(f"{done} of {plan['messages']} messages after {STUCK_SECONDS:g} s")
        messages = consumer.consume(batch, 1.0)
        if not messages:
            continue
        if not begun:
            begun, cpu = time.perf_counter(), time.process_time()
        assert all(message.error() is None and message.value() for message in messages)
        if plan["events"]:
            handler(json.loads(orjson.dumps(event_of(messages, servers))))
        done += len(messages)
        consumer.commit(asynchronous=False)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    outcome = {"latencies_ns": [], "wall_seconds": wall, "client_cpu_seconds": cpu}
    consumer.close()
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()

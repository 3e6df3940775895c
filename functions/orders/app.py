"""Adds up a batch of orders, whoever delivers it: an SQS queue, a Kinesis stream, or a caller with a plain list.

Orders that cannot be read are reported by their place in the batch (``batchItemFailures``), so that a queue or stream
delivers those again and no others.
"""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal


def handler(event, context):
    orders, total, failures = 0, Decimal(0), []
    for identifier, text in read_batch(event):
        try:
            order = json.loads(text, parse_float=Decimal)
            total += sum(Decimal(line["price"]) * line["quantity"] for line in order["lines"])
            orders += 1
        except (ArithmeticError, KeyError, TypeError, ValueError) as wrong:
            print(f"Order {identifier} cannot be read: {wrong!r}")
            failures.append({"itemIdentifier": identifier})
    print(f"{orders} orders, {total} in all, {len(failures)} unreadable")
    return {"orders": orders, "total": str(total), "batchItemFailures": failures}


def read_batch(event) -> Iterator[tuple[str, str]]:
    """Every order of the batch as JSON text, with what its source calls it."""
    records = event if isinstance(event, list) else event.get("Records", event.get("orders", []))
    for index, record in enumerate(records):
        if "kinesis" in record:
            yield record["kinesis"]["sequenceNumber"], base64.b64decode(record["kinesis"]["data"]).decode()
        elif "body" in record:
            yield record["messageId"], record["body"]
        else:
            yield str(index), json.dumps(record)

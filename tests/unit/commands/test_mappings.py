"""What ``rie mappings`` makes of a mapping, without a server."""

from typing import Any

import pytest

from rie_server.commands.mappings import mapping_row

UUID = "11111111-1111-4111-8111-111111111111"
MAPPING: dict[str, Any] = {
    "uuid": UUID,
    "function": "arn:aws:lambda:us-east-1:000000000000:function:orders",
    "kind": "sqs",
    "source": "arn:aws:sqs:us-east-1:000000000000:orders",
    "part": None,
    "state": "Enabled",
    "last_processing_result": None,
    "backlog": None,
    "behind_seconds": None,
    "pollers": 0,
    "in_flight": 0,
    "counts": {"invoked": 0, "failed_invoke": 0},
}


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, (UUID, "orders", "sqs orders", "Enabled", "-", "0", "0", "0", "0", "")),
        (
            {"function": MAPPING["function"] + ":live", "backlog": 7, "pollers": 5, "in_flight": 2},
            (UUID, "orders:live", "sqs orders", "Enabled", "7", "5", "2", "0", "0", ""),
        ),
        (
            {
                "kind": "self-managed-kafka",
                "source": "127.0.0.1:9092",
                "part": "events",
                "behind_seconds": 61.4,
                "counts": {"invoked": 10, "failed_invoke": 3},
                "last_processing_result": "OK",
            },
            (UUID, "orders", "self-managed-kafka 127.0.0.1:9092 events", "Enabled", "61 s", "0", "0", "10", "3", "OK"),
        ),
        (
            {"kind": "mq", "source": "arn:aws:mq:us-east-1:000000000000:broker:b:b-1", "part": "q"},
            (UUID, "orders", "mq broker:b:b-1 q", "Enabled", "-", "0", "0", "0", "0", ""),
        ),
    ],
)
def test_a_row_says_where_a_mapping_stands(changes: dict[str, Any], row: tuple[str, ...]) -> None:
    assert mapping_row({**MAPPING, **changes}) == row

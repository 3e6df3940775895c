"""What ``rie events`` makes of an event, without a server."""

from typing import Any

import pytest

from rie_server.commands.events import event_row
from rie_server.commands.live_table import changed_lines

EVENT: dict[str, Any] = {
    "request_id": "r",
    "function": "arn:aws:lambda:us-east-1:000000000000:function:orders",
    "state": "queued",
    "due_at": "2026-01-01T00:01:00.000Z",
    "attempts": 0,
    "refusals": 0,
    "ended_at": None,
    "condition": None,
    "invoke_count": None,
    "deliveries": [],
}


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, ("r", "orders", "queued", "0", "2026-01-01T00:01:00.000Z", "")),
        (
            {"function": EVENT["function"] + ":live"},
            ("r", "orders:live", "queued", "0", "2026-01-01T00:01:00.000Z", ""),
        ),
        (
            {"state": "retrying", "attempts": 1, "refusals": 2},
            ("r", "orders", "retrying", "1 (+2 refused)", "2026-01-01T00:01:00.000Z", ""),
        ),
        ({"state": "in_flight", "due_at": None}, ("r", "orders", "in_flight", "0", "", "")),
        (
            {
                "state": "delivered",
                "due_at": None,
                "attempts": 2,
                "invoke_count": 3,
                "ended_at": "2026-01-01T00:03:00.000Z",
                "condition": "RetriesExhausted",
                "deliveries": [
                    {"kind": "OnFailure", "target": "arn:aws:sqs:us-east-1:1:failed", "error": None},
                    {"kind": "DeadLetter", "target": "arn:aws:sqs:us-east-1:1:dead", "error": "gone"},
                ],
            },
            (
                "r",
                "orders",
                "delivered",
                "3",
                "2026-01-01T00:03:00.000Z",
                "RetriesExhausted, OnFailure failed, DeadLetter dead failed: gone",
            ),
        ),
    ],
)
def test_a_row_says_where_an_event_stands(changes: dict[str, Any], row: tuple[str, ...]) -> None:
    assert event_row({**EVENT, **changes}) == row


def test_a_follower_is_told_of_changes_only() -> None:
    queued = event_row(EVENT)
    running = event_row({**EVENT, "state": "in_flight", "due_at": None})
    other = event_row({**EVENT, "request_id": "s"})
    polls = [[queued], [queued], [running, other], [other], [other]]
    assert list(changed_lines(polls)) == [
        "r  orders  queued  0  2026-01-01T00:01:00.000Z",
        "r  orders  in_flight  0",
        "s  orders  queued  0  2026-01-01T00:01:00.000Z",
    ]

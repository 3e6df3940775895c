"""Thousands of messages while functions fail, are throttled, and the server is killed: nothing is lost or overtaken.

``RIE_FIRE_MESSAGES`` says how many messages (3,000).
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.sqs_bench import SqsBench
from tests.integration.events.crashing import Killer, lasting_port
from tests.integration.invoke.deploying import create
from tests.servers.fauxqs import REGION, FauxqsServer
from tests.written import lines_in

MESSAGES = int(os.environ.get("RIE_FIRE_MESSAGES", "3000"))
GROUPS = 20
KILLS = 3
VISIBILITY = {"VisibilityTimeout": "2"}
FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}

# One line for each attempt: [whether it succeeds, ["body", ...]]. Every twentieth fails.
UNRELIABLE = """
    import json, os, random
    def handler(event, context):
        bodies = [record["body"] for record in event["Records"]]
        works = random.random() > 0.05
        file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (json.dumps([works, bodies]) + "\\n").encode())
        os.close(file)
        if not works:
            raise ValueError("now and then")
"""


def send(fauxqs: FauxqsServer, queue: str, messages: Sequence[dict[str, Any]]) -> None:
    url = fauxqs.queue_url(queue)
    for start in range(0, len(messages), 10):
        some = messages[start : start + 10]
        entries = [{"Id": str(number), **message} for number, message in enumerate(some)]
        assert not fauxqs.sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")


@pytest.mark.timeout(60 + MESSAGES // 50)
def test_no_message_is_lost_and_none_overtakes_another_of_its_group(
    fauxqs: FauxqsServer, start_rie: Callable[..., RieServer], tmp_path: Path
) -> None:
    plain, ordered = MESSAGES * 2 // 3, MESSAGES // 3
    plain_arn = fauxqs.create_queue("fire", **VISIBILITY)
    ordered_arn = fauxqs.create_queue("fire.fifo", **FIFO, **VISIBILITY)
    server = start_rie(environ=fauxqs.environ, region=REGION, port=lasting_port(), max_environments=4)
    bench = SqsBench(server, fauxqs, tmp_path / "unused")
    notes = tmp_path / "fire"
    create(bench.client, "fire", UNRELIABLE, Environment={"Variables": {"NOTES": str(notes)}}, Timeout=1)
    bench.client.put_function_concurrency(FunctionName="fire", ReservedConcurrentExecutions=2)
    bench.map(plain_arn, function="fire")
    bench.map(ordered_arn, function="fire")
    with Killer(server, times=KILLS, seed=11) as killer:
        send(fauxqs, "fire", [{"MessageBody": f"plain {number}"} for number in range(plain)])
        groups = [(number % GROUPS, number // GROUPS) for number in range(ordered)]
        send(
            fauxqs,
            "fire.fifo",
            [{"MessageBody": f"{group} {place}", "MessageGroupId": f"group-{group}"} for group, place in groups],
        )
        wait_until(lambda: killer.is_done, seconds=60)
    seconds = 45 + MESSAGES / 100
    wait_until(lambda: bench.left("fire") + bench.left("fire.fifo") == 0, seconds=seconds, what="the queues to empty")

    attempts = [json.loads(line) for line in lines_in(notes)]
    done: set[str] = set()
    reached: dict[str, int] = defaultdict(lambda: -1)
    for works, bodies in attempts:
        for body in bodies:
            group, place = body.split()
            if group != "plain":
                assert int(place) <= reached[group] + 1, f"{body} before message {reached[group] + 1} of its group"
                if works:
                    reached[group] = max(reached[group], int(place))
        if works:
            done.update(bodies)
    assert done == {f"plain {number}" for number in range(plain)} | {f"{group} {place}" for group, place in groups}
    assert not all(works for works, _ in attempts)

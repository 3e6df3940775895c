"""A full queue of SQS, end to end: received, run by a function that does nothing, deleted; next to a bare loop.

The bare loop is boto3 in one thread that receives ten messages and deletes them, again and again, from the same
emulator. Clocks start when the first message has been taken and stop when the last one has left the queue.
"""

import time
from functools import partial

from benchmarks.contenders.contender import Unavailable
from benchmarks.contenders.queues import Queues, create_mapping, running_queues, set_enabled
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "sqs"
TITLE = "Messages of an SQS queue"
CLAIM = "at least 0.80 of the messages per second of a bare receive/delete loop"
FUNCTION = "bench"
ENVIRONMENTS = 2
BARE = "bare loop"
BATCH_SIZES = (10, 1000)
METRIC = "messages per second"
ROUNDS_AT_MOST = 3
# Fewer are over before receiving and deleting go on beside one another.
MESSAGES_AT_LEAST = 5000


def run(effort: Effort) -> ScenarioResult:
    try:
        with running_queues() as queues:
            return _run(effort, queues)
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, queues: Queues) -> ScenarioResult:
    messages = max(effort.queued_events, MESSAGES_AT_LEAST)
    with running_server(max_environments=ENVIRONMENTS, environment=queues.variables) as ours:
        ours.create_function(FUNCTION)
        measures = {BARE: partial(_bare, queues, queues.create("bare"), messages)}
        for size in BATCH_SIZES:
            name = f"batches-of-{size}"
            url = queues.create(name)
            window = {"MaximumBatchingWindowInSeconds": 1} if size > 10 else {}
            uuid = create_mapping(ours, name, function=FUNCTION, enabled=False, BatchSize=size, **window)
            measures[_named(size)] = partial(_polled, ours, queues, url, uuid, messages)
            measures[_named(size)]()  # environments start, connections are made
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=tuple(
            ratio_check(series, metric=METRIC, of=_named(size), to=BARE, limit=0.80, at_least=True)
            for size in BATCH_SIZES
        ),
        notes=(f"{messages:,} messages in each round.", "Everything shares the processors of one machine."),
    )


def _named(size: int) -> str:
    return f"server, batches of {size:,}"


def _bare(queues: Queues, url: str, messages: int) -> Metrics:
    queues.fill(url, messages)
    begun = time.perf_counter()
    if (count := queues.drain_by_hand(url)) != messages:
        raise ContenderFailed(f"the bare loop got {count} of {messages} messages")
    return {(METRIC, "/s"): messages / (time.perf_counter() - begun)}


def _polled(server: Server, queues: Queues, url: str, uuid: str, messages: int) -> Metrics:
    queues.fill(url, messages)
    contender = server.as_contender(FUNCTION)
    served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
    set_enabled(server, uuid, enabled=True)
    queues.wait_below(url, messages)
    begun = time.perf_counter()
    queues.wait_below(url, 1)
    seconds = time.perf_counter() - begun
    served, ran = contender.server_cpu_seconds() - served, contender.runtime_cpu_seconds() - ran
    set_enabled(server, uuid, enabled=False)
    return {
        (METRIC, "/s"): messages / seconds,
        ("server's processor time", "us"): served / messages * 1e6,
        ("runtimes' processor time", "us"): ran / messages * 1e6,
    }

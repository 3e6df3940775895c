"""A queue of SQS: how many messages a second reach a function that does nothing and are deleted, next to a bare loop.

The bare loop is boto3 in one thread that receives messages and deletes them, again and again, from the same emulator:
ten at once, which is the most that SQS gives, or one, next to batches of one. Clocks start when the first message has
been taken and stop when the last one has left the queue.
"""

import time
from collections.abc import Callable
from functools import partial

from benchmarks.contenders.contender import Unavailable
from benchmarks.contenders.queues import Queues, create_mapping, running_queues, set_enabled
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import Check, Curve, ScenarioResult, Series, line_through, ratio_check, skipped
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "sqs"
TITLE = "Messages of an SQS queue"
CLAIM = "at least 0.80 of a bare receive/delete loop's messages per second with batches of 10, 0.90 with 500"
OBSTACLE = (
    "Receiving and deleting are two calls for ten messages, signed each; the function runs beside them on the same "
    "processors."
)
FUNCTION = "bench"
ENVIRONMENTS = 2
BARE, BARE_ALONE = "bare loop", "bare loop, one at once"
BATCH_SIZES = (1, 10, 100, 500)
# By the size of the batch.
PROMISED = {10: 0.80, 500: 0.90}
METRIC = "messages per second"
ROUNDS_AT_MOST = 3
# Fewer are over before receiving and deleting go on beside one another.
MESSAGES_AT_LEAST = 5000
SHARE_ONE_BY_ONE = 10
WARM_UP_MESSAGES = 500


def run(effort: Effort) -> ScenarioResult:
    try:
        with running_queues() as queues:
            return _run(effort, queues)
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, queues: Queues) -> ScenarioResult:
    messages = max(effort.queued_events, MESSAGES_AT_LEAST)
    few = messages // SHARE_ONE_BY_ONE
    with running_server(max_environments=ENVIRONMENTS, environment=queues.variables) as ours:
        ours.create_function(FUNCTION)
        measures: dict[str, Callable[[], Metrics]] = {
            BARE_ALONE: partial(_bare, queues, queues.create("bare-alone"), few, at_once=1),
            BARE: partial(_bare, queues, queues.create("bare"), messages, at_once=10),
        }
        for size in BATCH_SIZES:
            name = f"batches-of-{size}"
            url = queues.create(name)
            window = {"MaximumBatchingWindowInSeconds": 1} if size > 10 else {}
            uuid = create_mapping(ours, name, function=FUNCTION, enabled=False, BatchSize=size, **window)
            polled = partial(_polled, ours, queues, url, uuid)
            polled(WARM_UP_MESSAGES)  # environments start, connections are made
            measures[_named(size)] = partial(polled, few if size == 1 else messages)
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        obstacle=OBSTACLE,
        series=series,
        checks=_checks(series),
        notes=(
            f"{messages:,} messages in each round, {few:,} one by one.",
            "Everything shares the processors of one machine.",
        ),
        curves=(_curve(),),
    )


def _checks(series: tuple[Series, ...]) -> tuple[Check, ...]:
    return tuple(
        ratio_check(
            series,
            metric=METRIC,
            of=_named(size),
            to=_bare_for(size),
            limit=PROMISED.get(size),
            at_least=True,
        )
        for size in BATCH_SIZES
    )


def _curve() -> Curve:
    lines = (
        line_through(SERVER, METRIC, {size: _named(size) for size in BATCH_SIZES}),
        line_through(BARE, METRIC, {size: _bare_for(size) for size in BATCH_SIZES}),
    )
    return Curve(dimension="messages in a batch", figure=METRIC, lines=lines)


def _named(size: int) -> str:
    return f"server, batches of {size:,}"


def _bare_for(size: int) -> str:
    return BARE_ALONE if size == 1 else BARE


def _bare(queues: Queues, url: str, messages: int, *, at_once: int) -> Metrics:
    queues.fill(url, messages)
    begun = time.perf_counter()
    if (count := queues.drain_by_hand(url, at_once=at_once)) != messages:
        raise ContenderFailed(f"the bare loop got {count} of {messages} messages")
    return {(METRIC, "/s"): messages / (time.perf_counter() - begun)}


def _polled(server: Server, queues: Queues, url: str, uuid: str, messages: int) -> Metrics:
    queues.fill(url, messages)
    contender = server.as_contender(FUNCTION)
    served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
    set_enabled(server, uuid, enabled=True)
    queues.wait_below(url, messages, look_seconds=0.005)
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

"""Streams with shards: how fast a function that does nothing gets their records, next to a bare loop of ``GetRecords``.

Both read the same stream of the same emulator from its beginning, once for each size of a batch. The server's clock
starts with the request that makes the mapping, and stops when every record has been through the function.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server
from benchmarks.figures import Check, Curve, Line, Point, Series, ratio_check
from benchmarks.load import run_plan
from benchmarks.mappings import PATH, wait_for
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

BARE = "bare loop"
FUNCTION = "bench"
BATCHES = (1, 10, 100, 500)
# By the size of the batch.
PROMISED = {10: 0.80, 500: 0.90}
ROUNDS_AT_MOST = 3
LOOK_SECONDS = 0.05
NOTES = (
    f"'{BARE}' asks for as many records in one GetRecords as there are in a batch, one shard after the other.",
    "The server asks for more at a time, reads shards beside one another, and stores a checkpoint after each batch.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream that has been filled.

    Attributes:
        service: boto's name of what answers ``GetRecords``.
    """

    service: str
    url: str
    arn: str
    records: int


def metric(batch: int) -> str:
    return f"records per second, {batch:,} in a batch"


def measured(server: Server, streams: Mapping[int, Stream], effort: Effort) -> tuple[Series, ...]:
    """Records per second of both.

    Args:
        server: with a function that is warm.
        streams: by size of a batch; two sizes may share one.
    """

    def ours() -> Metrics:
        return {(metric(batch), "/s"): _polled(server, stream, batch) for batch, stream in streams.items()}

    def bare() -> Metrics:
        return {(metric(batch), "/s"): _bare(stream, batch) for batch, stream in streams.items()}

    return interleaved({SERVER: ours, BARE: bare}, rounds=min(effort.rounds, ROUNDS_AT_MOST))


def checks(series: tuple[Series, ...]) -> tuple[Check, ...]:
    """What is promised of some sizes, and how the others do."""
    return tuple(
        ratio_check(
            series,
            metric=metric(batch),
            of=SERVER,
            to=BARE,
            limit=PROMISED.get(batch),
            at_least=True,
        )
        for batch in BATCHES
    )


def curve() -> Curve:
    lines = tuple(
        Line(name=who, points=tuple(Point(at=batch, contender=who, metric=metric(batch)) for batch in BATCHES))
        for who in (SERVER, BARE)
    )
    return Curve(dimension="records in a batch", figure="records per second", lines=lines)


def _bare(stream: Stream, batch: int) -> float:
    plan = {"service": stream.service, "url": stream.url, "arn": stream.arn, "batch": batch, "records": stream.records}
    return stream.records / run_plan("benchmarks.bare_records", plan).wall_seconds


def _polled(server: Server, stream: Stream, batch: int) -> float:
    mapping = {
        "FunctionName": FUNCTION,
        "EventSourceArn": stream.arn,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": batch,
    }

    def is_through(told: Mapping[str, object]) -> bool:
        counts = told["counts"]
        assert isinstance(counts, dict)
        if counts["failed_invoke"]:
            raise ContenderFailed("invocations failed")
        return bool(counts["invoked"] >= stream.records and not told["backlog"] and not told["in_flight"])

    begun = time.perf_counter()
    uuid = server.call("POST", PATH, mapping)["UUID"]
    wait_for(server, uuid, is_through)
    seconds = time.perf_counter() - begun
    server.call("DELETE", f"{PATH}/{uuid}")
    while any(one["uuid"] == uuid for one in server.call("GET", "/_rie/mappings")["mappings"]):
        time.sleep(LOOK_SECONDS)
    return stream.records / seconds

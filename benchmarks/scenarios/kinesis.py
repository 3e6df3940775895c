"""A stream of Kinesis with four shards: how fast a function that does nothing gets its records, next to a bare loop.

Both read the same stream of the same kinesalite from its beginning. The server's clock starts with the request that
makes the mapping, and stops when every record has been through the function.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.bare_kinesis import kinesis_client
from benchmarks.contenders.kinesalite import kinesalite, kinesalite_folder
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.load import Load, run_load, run_plan
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "kinesis"
TITLE = "Records of a Kinesis stream, four shards"
CLAIM = "at least 0.80 of a bare boto3 loop's records per second"
BARE = "bare loop"
FUNCTION = "bench"
SHARDS = 4
BATCHES = (10, 1000)
DATA = b"x" * 100
ROUNDS_AT_MOST = 5
SECONDS_AT_MOST = 60.0
MAPPINGS_PATH = "/2015-03-31/event-source-mappings"
NOTES = (
    f"'{BARE}' asks for as many records in one GetRecords as there are in a batch, one shard after the other.",
    "The server asks for more at a time, reads shards beside one another, and stores a checkpoint after each batch.",
    "kinesalite is one process that shares the machine's processors with both.",
)


def run(effort: Effort) -> ScenarioResult:
    packages = kinesalite_folder()
    if packages is None:
        return skipped(NAME, TITLE, CLAIM, "there is no kinesalite: RIE_REQUIRE=kinesalite makes the tests fetch it")
    records = {10: effort.queued_events * 2, 1000: effort.queued_events * 10}
    with kinesalite(packages) as url:
        arns = {batch: _fill(url, _stream(batch), records[batch]) for batch in BATCHES}
        environment = {"AWS_ENDPOINT_URL_KINESIS": url, "AWS_EC2_METADATA_DISABLED": "true"}
        with running_server(max_environments=SHARDS, environment=environment) as ours:
            ours.create_function(FUNCTION, "hello")
            run_load(ours.target(FUNCTION), Load(clients=2 * SHARDS, requests=20 * SHARDS))
            measures = {
                SERVER: partial(_all_batches, partial(_server, ours, arns, records)),
                BARE: partial(_all_batches, partial(_bare, url, records)),
            }
            series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    checks = tuple(
        ratio_check(series, metric=_metric(batch), of=SERVER, to=BARE, limit=0.80, at_least=True) for batch in BATCHES
    )
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=checks,
        notes=(f"{records[10]:,} records of 100 bytes, or {records[1000]:,} in large batches.", *NOTES),
    )


def _stream(batch: int) -> str:
    return f"bench-{batch}"


def _metric(batch: int) -> str:
    return f"records per second, {batch:,} in a batch"


def _fill(url: str, stream: str, records: int) -> str:
    """The stream's ARN."""
    client = kinesis_client(url)
    client.create_stream(StreamName=stream, ShardCount=SHARDS)
    client.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.1})
    for start in range(0, records, 500):
        entries = [{"Data": DATA, "PartitionKey": str(start + number)} for number in range(500)]
        if client.put_records(StreamName=stream, Records=entries)["FailedRecordCount"]:
            raise ContenderFailed("kinesalite did not take every record")
    arn: str = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    client.close()
    return arn


def _all_batches(measure: Callable[[int], float]) -> Metrics:
    return {(_metric(batch), "/s"): measure(batch) for batch in BATCHES}


def _bare(url: str, records: Mapping[int, int], batch: int) -> float:
    """Records per second."""
    plan = {"url": url, "stream": _stream(batch), "batch": batch, "records": records[batch]}
    return records[batch] / run_plan("benchmarks.bare_kinesis", plan).wall_seconds


def _server(server: Server, arns: Mapping[int, str], records: Mapping[int, int], batch: int) -> float:
    """Records per second."""
    mapping = {
        "FunctionName": FUNCTION,
        "EventSourceArn": arns[batch],
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": batch,
    }
    begun = time.perf_counter()
    uuid = server.call("POST", MAPPINGS_PATH, mapping)["UUID"]
    while not _is_through(server, uuid, records[batch]):
        if time.perf_counter() - begun > SECONDS_AT_MOST:
            raise ContenderFailed(f"not all of {records[batch]} records were through after {SECONDS_AT_MOST:g} s")
        time.sleep(0.02)
    seconds = time.perf_counter() - begun
    server.call("DELETE", f"{MAPPINGS_PATH}/{uuid}")
    while any(one["uuid"] == uuid for one in _mappings(server)):
        time.sleep(0.05)
    return records[batch] / seconds


def _is_through(server: Server, uuid: str, records: int) -> bool:
    (mapping,) = (one for one in _mappings(server) if one["uuid"] == uuid)
    counts = mapping["counts"]
    if counts["failed_invoke"]:
        raise ContenderFailed("invocations failed")
    return counts["invoked"] >= records and not mapping["backlog"] and not mapping["in_flight"]


def _mappings(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.call("GET", "/_rie/mappings")["mappings"]
    return found

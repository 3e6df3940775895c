"""A stream of Kinesis with four shards: how fast a function that does nothing gets its records, next to a bare loop."""

from benchmarks.bare_records import aws_client
from benchmarks.contenders.kinesalite import kinesalite, kinesalite_folder
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, skipped
from benchmarks.load import Load, run_load
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort
from benchmarks.streams import FUNCTION, NOTES, Stream, checks, curve, measured

NAME = "kinesis"
TITLE = "Records of a Kinesis stream, four shards"
CLAIM = "at least 0.80 of a bare boto3 loop's records per second with batches of 10, 0.90 with 500"
SERVICE = "kinesis"
SHARDS = 4
# A stream is long enough for its largest batches, and not so long that its smallest ones take minutes.
SHARES = {(1,): 0.5, (10,): 2, (100, 500): 10}
DATA = b"x" * 100
PUT_TOGETHER = 500


def run(effort: Effort) -> ScenarioResult:
    packages = kinesalite_folder()
    if packages is None:
        return skipped(NAME, TITLE, CLAIM, "there is no kinesalite: RIE_REQUIRE=kinesalite makes the tests fetch it")
    with kinesalite(packages) as url:
        streams = {}
        for batches, share in SHARES.items():
            stream = _filled(url, f"bench-{batches[0]}", int(effort.queued_events * share))
            streams |= dict.fromkeys(batches, stream)
        environment = {"AWS_ENDPOINT_URL_KINESIS": url, "AWS_EC2_METADATA_DISABLED": "true"}
        with running_server(max_environments=SHARDS, environment=environment) as ours:
            ours.create_function(FUNCTION, "hello")
            run_load(ours.target(FUNCTION), Load(clients=2 * SHARDS, requests=20 * SHARDS))
            series = measured(ours, streams, effort)
    lengths = "; ".join(f"{stream.records:,} in batches of {batch:,}" for batch, stream in streams.items())
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=checks(series),
        notes=(
            f"Records of {len(DATA)} bytes: {lengths}.",
            *NOTES,
            "kinesalite is one process that shares the machine's processors with both.",
        ),
        curves=(curve(),),
    )


def _filled(url: str, name: str, records: int) -> Stream:
    client = aws_client(SERVICE, url)
    client.create_stream(StreamName=name, ShardCount=SHARDS)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.1})
    for start in range(0, records, PUT_TOGETHER):
        numbers = range(start, min(start + PUT_TOGETHER, records))
        entries = [{"Data": DATA, "PartitionKey": str(number)} for number in numbers]
        if client.put_records(StreamName=name, Records=entries)["FailedRecordCount"]:
            raise ContenderFailed("kinesalite did not take every record")
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    client.close()
    return Stream(service=SERVICE, url=url, arn=arn, records=records)

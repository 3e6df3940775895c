"""The stream of a DynamoDB table: how fast a function that does nothing gets its records, next to a bare loop.

The stream is moto's, which has one shard and takes some milliseconds for each answer, so that small batches wait for it
and not for whoever reads.
"""

from typing import Any

from benchmarks.bare_records import aws_client
from benchmarks.contenders.contender import Unavailable
from benchmarks.contenders.moto import moto
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, skipped
from benchmarks.load import Load, run_load
from benchmarks.processes import LOOPBACK
from benchmarks.rounds import Effort
from benchmarks.streams import FUNCTION, NOTES, Stream, checks, curve, measured

NAME = "dynamodb_streams"
TITLE = "Records of a DynamoDB table's stream"
CLAIM = "at least 0.80 of a bare boto3 loop's records per second with batches of 10, 0.90 with 500"
OBSTACLE = (
    "The emulator, the server and the function share the processors, and the emulator takes most of them: what the "
    "server does for a record, which the bare loop does not, is taken from it."
)
SERVICE = "dynamodbstreams"
# As many as moto gives in a second or two, whatever the effort.
RECORDS = {(1,): 200, (10,): 1000, (100, 500): 5000}
WRITE_TOGETHER = 25


def run(effort: Effort) -> ScenarioResult:
    try:
        with moto() as (port, _):
            return _run(effort, f"http://{LOOPBACK}:{port}")
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, url: str) -> ScenarioResult:
    streams = {}
    for batches, records in RECORDS.items():
        stream = _filled(url, f"bench-{batches[0]}", records)
        streams |= dict.fromkeys(batches, stream)
    environment = {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": url, "AWS_EC2_METADATA_DISABLED": "true"}
    with running_server(environment=environment) as ours:
        ours.create_function(FUNCTION, "hello")
        run_load(ours.target(FUNCTION), Load(requests=20))
        series = measured(ours, streams, effort)
    lengths = "; ".join(f"{stream.records:,} in batches of {batch:,}" for batch, stream in streams.items())
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        obstacle=OBSTACLE,
        series=series,
        checks=checks(series),
        notes=(
            f"Items that were put: {lengths}.",
            *NOTES,
            "moto has one shard, takes some milliseconds to answer, and shares the machine's processors with both.",
        ),
        curves=(curve(),),
    )


def _filled(url: str, name: str, records: int) -> Stream:
    client = aws_client("dynamodb", url)
    arn = _create_table(client, name)
    for start in range(0, records, WRITE_TOGETHER):
        numbers = range(start, min(start + WRITE_TOGETHER, records))
        puts = [{"PutRequest": {"Item": {"id": {"S": str(number)}, "total": {"N": "4711"}}}} for number in numbers]
        client.batch_write_item(RequestItems={name: puts})
    client.close()
    return Stream(service=SERVICE, url=url, arn=arn, records=records)


def _create_table(client: Any, name: str) -> str:
    """The ARN of its stream."""
    table = client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(table["TableDescription"]["LatestStreamArn"])

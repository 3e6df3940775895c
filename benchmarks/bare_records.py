"""A bare loop of boto3 over a stream of Kinesis or DynamoDB: the least that can read its records.

``python -m benchmarks.bare_records`` reads one plan (JSON) from standard input and writes one outcome (JSON) to
standard output: ``GetRecords`` of one shard after the other, until ``records`` have come.
"""

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"


def aws_client(service: str, url: str) -> Any:
    """A client of an emulator at ``url``; the caller closes it."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )


def shards_of(client: Any, stream: dict[str, str]) -> list[str]:
    """The ids of a stream's shards, of which there are few."""
    return [one["ShardId"] for one in client.describe_stream(**stream)["StreamDescription"]["Shards"]]


def named(service: str, arn: str) -> dict[str, str]:
    """How a request of ``service`` names a stream."""
    return {"StreamName": arn.rpartition("/")[2]} if service == "kinesis" else {"StreamArn": arn}


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan.

    Args:
        plan: ``service`` (``kinesis`` or ``dynamodbstreams``) and its ``url``, the stream's ``arn``, ``batch`` (records
            of one call) and ``records`` (in the stream).
    """
    client = aws_client(plan["service"], plan["url"])
    stream = named(plan["service"], plan["arn"])
    shards = shards_of(client, stream)
    begun, cpu_begun = time.perf_counter(), time.process_time()
    seen, latencies = 0, []
    for shard in shards:
        place = client.get_shard_iterator(**stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while place is not None:
            called = time.perf_counter_ns()
            answer = client.get_records(ShardIterator=place, Limit=plan["batch"])
            latencies.append(time.perf_counter_ns() - called)
            if not answer["Records"]:
                break
            seen += len(answer["Records"])
            place = answer.get("NextShardIterator")
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    client.close()
    if seen != plan["records"]:
        raise RuntimeError(f"{seen} records of {plan['records']} came")
    return {"latencies_ns": latencies, "wall_seconds": wall, "client_cpu_seconds": cpu}


if __name__ == "__main__":
    json.dump(carry_out(json.load(sys.stdin)), sys.stdout)

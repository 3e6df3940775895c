"""A bare loop of boto3 over a stream: the least that can read its records.

``python -m benchmarks.bare_kinesis`` reads one plan (JSON) from standard input and writes one outcome (JSON) to
standard output: ``GetRecords`` of one shard after the other, until ``records`` have come.
"""

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config


def kinesis_client(url: str) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan.

    Args:
        plan: ``url`` of Kinesis, ``stream``, ``batch`` (records of one call) and ``records`` (in the stream).
    """
    client = kinesis_client(plan["url"])
    shards = [one["ShardId"] for one in client.list_shards(StreamName=plan["stream"])["Shards"]]
    begun, cpu_begun = time.perf_counter(), time.process_time()
    seen, latencies = 0, []
    for shard in shards:
        place = client.get_shard_iterator(StreamName=plan["stream"], ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
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

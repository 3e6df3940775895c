"""Bare long polls: a thread for each queue that asks boto3 for messages and gets none, the least that can listen.

``python -m benchmarks.bare_polls URL SECONDS QUEUE_URL...`` runs until it is ended. It waits as long in each poll as it
is told; a message that came would be left where it is.
"""

import sys
import threading
from typing import Any

import boto3
from botocore.config import Config


def listen(client: Any, queue_url: str, wait_seconds: int) -> None:
    while True:
        client.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )


def main(url: str, wait_seconds: int, queue_urls: list[str]) -> None:
    client = boto3.client(
        "sqs",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, proxies={}, max_pool_connections=len(queue_urls)),
    )
    threads = [
        threading.Thread(target=listen, args=(client, one, wait_seconds), name=f"poll-{number}")
        for number, one in enumerate(queue_urls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])

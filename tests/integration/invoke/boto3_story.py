"""A function's whole life through whichever boto3 runs this file: prints what it saw as one JSON object.

Run by the tests under several interpreters; needs boto3 alone. Arguments: the zip of version one, the zip of version
two. The endpoint comes from AWS_ENDPOINT_URL_LAMBDA, as users give it.
"""

import base64
import json
import sys
from pathlib import Path

import boto3
import botocore

QUICKLY = {"Delay": 0.05, "MaxAttempts": 200}


def main() -> None:
    one, two = (Path(argument).read_bytes() for argument in sys.argv[1:])
    client = boto3.client("lambda")
    created = client.create_function(
        FunctionName="story",
        Runtime="python3.11",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/story",
        Code={"ZipFile": one},
    )
    client.get_waiter("function_active").wait(FunctionName="story", WaiterConfig=QUICKLY)
    client.get_waiter("function_active_v2").wait(FunctionName="story", WaiterConfig=QUICKLY)
    first = client.invoke(FunctionName="story", Payload=b'{"name": "Ada"}', LogType="Tail")
    failed = client.invoke(FunctionName="story", Payload=b'{"fail": true}')
    client.update_function_code(FunctionName="story", ZipFile=two)
    client.get_waiter("function_updated").wait(FunctionName="story", WaiterConfig=QUICKLY)
    client.update_function_configuration(FunctionName="story", Timeout=9)
    client.get_waiter("function_updated_v2").wait(FunctionName="story", WaiterConfig=QUICKLY)
    second = client.invoke(FunctionName=created["FunctionArn"], Payload=b'{"name": "Ada"}')
    pages = client.get_paginator("list_functions").paginate()
    listed = [function for page in pages for function in page["Functions"]]
    client.delete_function(FunctionName="story")
    try:
        client.invoke(FunctionName="story")
        refused = None
    except client.exceptions.ResourceNotFoundException as refusal:
        refused = refusal.response["Error"]["Code"]
    seen = {
        "version": botocore.__version__,
        "created": [created["ResponseMetadata"]["HTTPStatusCode"], created["State"]],
        "first": json.load(first["Payload"]),
        "tail": base64.b64decode(first["LogResult"]).decode().splitlines(),
        "executed_version": first["ExecutedVersion"],
        "failed": [failed["StatusCode"], failed["FunctionError"], json.load(failed["Payload"])["errorType"]],
        "second": json.load(second["Payload"]),
        "listed": [[function["FunctionName"], function["Timeout"]] for function in listed],
        "refused": refused,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()

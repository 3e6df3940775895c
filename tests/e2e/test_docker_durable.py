"""A durable function in a container makes its checkpoints where it reaches the server: beside the Runtime API."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RieServer
from tests.docker_engine import runtime_image
from tests.e2e.test_docker_functions import ROLE, zipped

pytestmark = pytest.mark.docker

# By hand, because the image has no boto3: a step and a wait, then both as the next invocation finds them.
FLOW = """
import json, os, urllib.error, urllib.parse, urllib.request

def call(event, operation, body=None):
    arn = urllib.parse.quote(event["DurableExecutionArn"], safe="")
    url = f"{os.environ['AWS_ENDPOINT_URL_LAMBDA']}/2025-12-01/durable-executions/{arn}/{operation}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"})) as reply:
        return json.load(reply)

def handler(event, context):
    operations = event["InitialExecutionState"]["Operations"]
    if len(operations) == 1:
        saved = call(event, "checkpoint", {"CheckpointToken": event["CheckpointToken"], "Updates": [
            {"Id": "step", "Type": "STEP", "Action": "SUCCEED", "Payload": "7"},
            {"Id": "nap", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 1}},
        ]})
        state = call(event, "state?CheckpointToken=" + saved["CheckpointToken"])
        assert [one["Id"] for one in state["Operations"][1:]] == ["step", "nap"], state
        return {"Status": "PENDING"}
    try:
        call(event, "stop", {})
    except urllib.error.HTTPError as refused:
        status = refused.code
    found = {one["Id"]: one["Status"] for one in operations[1:]}
    return {"Status": "SUCCEEDED", "Result": json.dumps({"found": found, "stop": status})}
"""


def test_a_durable_function_in_a_container_makes_checkpoints_and_reaches_nothing_else(
    docker_engine: Any, start_rie: Callable[..., RieServer]
) -> None:
    server = start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine))
    client = server.client()
    client.create_function(
        FunctionName="flow",
        Role=ROLE,
        Runtime="python3.11",
        Handler="app.handler",
        Code={"ZipFile": zipped(FLOW)},
        Timeout=20,
        MemorySize=256,
        DurableConfig={"ExecutionTimeout": 60},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="flow", WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    reply = client.invoke(FunctionName="flow", Qualifier="$LATEST", Payload=b"{}")

    result = json.loads(reply["Payload"].read())
    assert result == {"found": {"step": "SUCCEEDED", "nap": "SUCCEEDED"}, "stop": 404}

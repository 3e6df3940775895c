import pytest

from rie_server.api.lambda_api.routes import Routes, sibling_service
from rie_server.api.lambda_api.service_model import load_service_model

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
EXECUTION = f"{ARN}:$LATEST/durable-execution/name/0123"
ROUTES = Routes(load_service_model().operations.values())


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "parameters"),
    [
        ("POST", "/2015-03-31/functions", "", "CreateFunction", {}),
        ("POST", "/2015-03-31/functions/", "", "CreateFunction", {}),
        ("GET", "/2015-03-31/functions/f", "", "GetFunction", {"FunctionName": "f"}),
        ("GET", "/2015-03-31/functions/f/", "", "GetFunction", {"FunctionName": "f"}),
        ("POST", f"/2015-03-31/functions/{ARN}:live/invocations", "", "Invoke", {"FunctionName": f"{ARN}:live"}),
        ("POST", "/2014-11-13/functions/f/invoke-async/", "", "InvokeAsync", {"FunctionName": "f"}),
        (
            "GET",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "List=ALL",
            "ListProvisionedConcurrencyConfigs",
            {"FunctionName": "f"},
        ),
        (
            "GET",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "Qualifier=1",
            "GetProvisionedConcurrencyConfig",
            {"FunctionName": "f"},
        ),
        ("GET", "/2018-10-31/layers", "Arn=a&find=LayerVersion", "GetLayerVersionByArn", {}),
        ("GET", "/2018-10-31/layers", "", "ListLayers", {}),
        (
            "GET",
            f"/2025-12-01/durable-executions/{EXECUTION}",
            "",
            "GetDurableExecution",
            {"DurableExecutionArn": EXECUTION},
        ),
        (
            "GET",
            f"/2025-12-01/durable-executions/{EXECUTION}/history",
            "",
            "GetDurableExecutionHistory",
            {"DurableExecutionArn": EXECUTION},
        ),
        (
            "POST",
            "/2025-12-01/durable-execution-callbacks/a/b==/fail",
            "",
            "SendDurableExecutionCallbackFailure",
            {"CallbackId": "a/b=="},
        ),
        (
            "PUT",
            "/2019-09-25/functions/f/event-invoke-config",
            "",
            "PutFunctionEventInvokeConfig",
            {"FunctionName": "f"},
        ),
        (
            "POST",
            "/2019-09-25/functions/f/event-invoke-config",
            "",
            "UpdateFunctionEventInvokeConfig",
            {"FunctionName": "f"},
        ),
        (
            "DELETE",
            "/2015-03-31/functions/f/policy/s",
            "",
            "RemovePermission",
            {"FunctionName": "f", "StatementId": "s"},
        ),
    ],
)
def test_method_path_and_query_decide_the_operation(
    method: str, path: str, query: str, operation: str, parameters: dict[str, str]
) -> None:
    found = ROUTES.find(method, path, query)
    assert found is not None
    assert (found[0].name, found[1]) == (operation, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "//2015-03-31/functions"),
        ("GET", "/2015-03-31"),
        ("GET", "/2015-03-31/functions//configuration"),
        ("GET", "/2015-03-31/functions/f//"),
        ("HEAD", "/2015-03-31/functions"),
        ("GET", "/2025-12-01/durable-executions"),
        ("POST", "/2025-12-01/durable-execution-callbacks/fail"),
    ],
)
def test_other_paths_are_no_operation(method: str, path: str) -> None:
    assert ROUTES.find(method, path, "") is None


def test_every_operation_of_the_model_is_reached_by_its_own_path() -> None:
    for operation in load_service_model().operations.values():
        path = "/" + "/".join("x" if segment.startswith("{") else segment for segment in operation.segments)
        query = "=".join(operation.query) if operation.query else ""
        found = ROUTES.find(operation.method, path, query)
        assert found is not None
        assert found[0] is operation


def test_services_that_share_lambdas_endpoint_are_told_apart() -> None:
    assert sibling_service("/2026-10-01/runtimes/x") == "lambda-core"
    assert sibling_service("/2026-10-01/other") is None
    assert sibling_service("/2015-03-31/functions") is None

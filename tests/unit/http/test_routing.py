import pytest

from rie_server.api.exchange import HotRoute, Reply, Request
from rie_server.api.routing import HotTable, is_runtime_path


def operation(_request: Request) -> Reply:
    return Reply(200)


ROUTES = (
    HotRoute(listener="lambda", method="POST", prefix="/f/", suffix="/invocations", operation=operation),
    HotRoute(listener="runtime", method="GET", prefix="/next", suffix="", operation=operation),
)


@pytest.mark.parametrize(
    ("listener", "method", "path", "found"),
    [
        ("lambda", "POST", "/f/name/invocations", True),
        ("lambda", "GET", "/f/name/invocations", False),
        ("lambda", "POST", "/f//invocations", False),
        ("lambda", "POST", "/f/invocations", False),
        ("lambda", "POST", "/f/name/invocations/", False),
        ("lambda", "GET", "/next", False),
        ("runtime", "GET", "/next", True),
        ("runtime", "GET", "/next/", False),
        ("runtime", "POST", "/f/name/invocations", False),
        (None, "GET", "/next", True),
        (None, "POST", "/f/name/invocations", True),
    ],
)
def test_a_hot_operation_is_found_on_its_listener_by_its_whole_path(
    listener: str | None, method: str, path: str, found: bool
) -> None:
    assert (HotTable(ROUTES, listener).find(method, path) is operation) is found


def test_runtime_paths_are_told_from_lambda_paths_of_similar_dates() -> None:
    assert is_runtime_path("/2018-06-01/runtime/invocation/next")
    assert is_runtime_path("/2020-01-01/extension/register")
    assert not is_runtime_path("/2018-10-31/layers")
    assert not is_runtime_path("/2015-03-31/functions/2018-06-01/invocations")

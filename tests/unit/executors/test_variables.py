"""What a function finds in its environment, in a process and in a container."""

from pathlib import Path

import pytest

from rie_server.executors.docker_container import container_variables
from rie_server.executors.process_variables import process_variables
from rie_server.model.environment_variables import environment_variables
from tests.unit.invoke.conftest import function_version


def of_process(layers: Path | None = None, /, **variables: str) -> dict[str, str]:
    return process_variables(
        variables,
        layers=layers,
        runtime="python3.12",
        code_directory=Path("/data/code/x"),
        interpreter="/venv/bin/python",
        temporary_files=Path("/data/e/tmp"),
        runtime_api="127.1.2.3:9001",
    )


def test_awss_folders_become_this_machines() -> None:
    seen = of_process(
        LAMBDA_TASK_ROOT="/var/task",
        PATH="/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        LD_LIBRARY_PATH="/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        PYTHONPATH="/var/runtime",
        GREETING="/var/task is kept in a value of the function's own",
    )
    assert seen == {
        "LAMBDA_TASK_ROOT": "/data/code/x",
        "PATH": "/venv/bin:/usr/local/bin:/usr/bin/:/bin",
        "LD_LIBRARY_PATH": "/data/code/x:/data/code/x/lib",
        "PYTHONPATH": "/data/code/x",
        "GREETING": "/var/task is kept in a value of the function's own",
        "TMPDIR": "/data/e/tmp",
        "AWS_LAMBDA_RUNTIME_API": "127.1.2.3:9001",
    }


def test_a_functions_own_search_path_comes_after_its_code() -> None:
    assert of_process(PYTHONPATH="/var/task/lib:/srv/shared")["PYTHONPATH"] == (
        "/data/code/x:/data/code/x/lib:/srv/shared"
    )


@pytest.mark.parametrize("layers", ["/opt", "/data/code/l"])
def test_search_paths_lead_to_layers_wherever_they_are_seen(layers: str) -> None:
    seen = of_process(
        Path(layers),
        PATH="/var/lang/bin:/usr/bin:/opt/bin",
        LD_LIBRARY_PATH="/var/lang/lib:/lib64:/var/task/lib:/opt/lib",
        CONFIGURATION="/opt/config.yaml",
    )
    assert seen["PATH"] == f"/venv/bin:/usr/bin:{layers}/bin"
    assert seen["LD_LIBRARY_PATH"] == f"/data/code/x/lib:{layers}/lib"
    assert seen["PYTHONPATH"] == f"/data/code/x:{layers}/python/lib/python3.12/site-packages:{layers}/python"
    assert seen["CONFIGURATION"] == "/opt/config.yaml"
    assert seen.get("NODE_PATH") == (None if layers == "/opt" else f"{layers}/nodejs/node_modules")


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("http://127.0.0.1:4566", "http://host.docker.internal:4566"),
        ("http://localhost:4566/path?x=1", "http://host.docker.internal:4566/path?x=1"),
        ("http://[::1]:4566", "http://host.docker.internal:4566"),
        ("https://localhost", "https://host.docker.internal"),
        ("http://localstack:4566", "http://localstack:4566"),
        ("http://127.0.0.1:port", "http://127.0.0.1:port"),
    ],
)
def test_neighbours_on_the_servers_loopback_can_be_reached_from_a_container(given: str, seen: str) -> None:
    variables = container_variables({"AWS_ENDPOINT_URL_SQS": given, "OTHER": given}, runtime_api="rie-x:9001")
    assert (variables["AWS_ENDPOINT_URL_SQS"], variables["OTHER"]) == (seen, given)


def test_functions_are_told_where_the_servers_daemon_is_as_they_reach_it() -> None:
    neighbours = {"AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2001"}
    variables = environment_variables(function_version(), log_stream="s", neighbours=neighbours)
    assert variables["AWS_XRAY_DAEMON_ADDRESS"] == "127.0.0.1:2001"
    assert (variables["_AWS_XRAY_DAEMON_ADDRESS"], variables["_AWS_XRAY_DAEMON_PORT"]) == ("127.0.0.1", "2001")
    seen = container_variables(variables, runtime_api="rie-x:9001")
    assert seen["AWS_XRAY_DAEMON_ADDRESS"] == "host.docker.internal:2001"
    assert seen["_AWS_XRAY_DAEMON_ADDRESS"] == "host.docker.internal"
    usual = environment_variables(function_version(), log_stream="s", neighbours={})
    assert usual["AWS_XRAY_DAEMON_ADDRESS"] == "169.254.100.1:2000"

"""The rules by which containers are planned, and the engine's words understood."""

from pathlib import Path

import pytest

from rie_server.executors.docker_container import init_nano_processors, nano_processors
from rie_server.executors.docker_environment import exit_from, peak_in_statistics
from rie_server.executors.docker_failures import start_failure
from rie_server.executors.docker_network import EngineNetwork, Mount
from rie_server.model.environment import EnvironmentExit


@pytest.mark.parametrize(
    ("memory_mb", "available", "share", "during_init"),
    [
        (1769, 8, 1.0, 2.0),
        (128, 8, 128 / 1769, 2.0),
        (10_240, 8, 10_240 / 1769, 10_240 / 1769),
        (10_240, 2, 2.0, 2.0),
        (128, 1, 128 / 1769, 1.0),
    ],
)
def test_processors_follow_memory_with_a_loan_for_init_and_never_exceed_the_host(
    memory_mb: int, available: int, share: float, during_init: float
) -> None:
    assert nano_processors(memory_mb, available=available) == int(share * 1_000_000_000)
    assert init_nano_processors(memory_mb, available=available) == int(during_init * 1_000_000_000)


@pytest.mark.parametrize(
    ("explanation", "error_type", "message"),
    [
        (
            'OCI runtime create failed: exec: "app": executable file not found in $PATH: unknown',
            "Runtime.InvalidEntrypoint",
            "fork/exec app: executable file not found in $PATH",
        ),
        (
            'unable to start container process: exec: "/no/such": stat /no/such: no such file or directory: unknown',
            "Runtime.InvalidEntrypoint",
            "fork/exec /no/such: no such file or directory",
        ),
        (
            'unable to start container process: exec: "/a": permission denied: unknown',
            "Runtime.InvalidEntrypoint",
            "fork/exec /a: permission denied",
        ),
        (
            "standard_init_linux.go:228: exec user process caused: exec format error",
            "Runtime.InvalidEntrypoint",
            "exec",
        ),
        ("No command specified", "Runtime.InvalidEntrypoint", "neither"),
        ('chdir to cwd ("/x") set in config.json failed: permission denied', "Runtime.InvalidWorkingDir", "/x"),
        ("Cannot mkdir: /etc/passwd is not a directory", "Runtime.InvalidWorkingDir", "/etc/passwd"),
        ("write /var/lib/docker/x: no space left on device", "Sandbox.Failure", "no space left on device"),
    ],
)
def test_an_engines_refusal_is_told_in_awss_words(explanation: str, error_type: str, message: str) -> None:
    failure = start_failure(explanation)
    assert failure.error_type == error_type
    assert message in str(failure)


def test_exit_codes_of_an_engine_are_statuses_and_signals() -> None:
    killed = {"State": {"OOMKilled": True}}
    assert exit_from(None, 0) == EnvironmentExit(status=0)
    assert exit_from(None, 7) == EnvironmentExit(status=7)
    assert exit_from(None, 139) == EnvironmentExit(signal=11)
    assert exit_from(None, 255) == EnvironmentExit(status=255)
    assert exit_from(killed, 137) == EnvironmentExit(signal=9, out_of_memory=True)
    assert exit_from(killed, 1) == EnvironmentExit(status=1), "only a child was killed, and the runtime bore it"


def test_the_engines_memory_figures_are_told_without_cached_files() -> None:
    megabyte = 1024 * 1024
    first = {
        "memory_stats": {"max_usage": 50 * megabyte + 1, "usage": megabyte, "stats": {"total_cache": 10 * megabyte}}
    }
    second = {"memory_stats": {"usage": 20 * megabyte, "stats": {"file": 5 * megabyte}}}
    assert (peak_in_statistics(first), peak_in_statistics(second), peak_in_statistics({})) == (41, 15, 0)


def test_a_server_in_a_container_names_folders_as_the_host_does() -> None:
    mounts = (
        Mount(source=Path("/srv/data"), destination=Path("/var/lib/rie")),
        Mount(source=Path("/mnt/code"), destination=Path("/var/lib/rie/code")),
    )
    inside = EngineNetwork(address="172.18.0.2", name="mine", container_id="c", mounts=mounts)
    assert inside.path_on_host(Path("/var/lib/rie/code/x")) == Path("/mnt/code/x")
    assert inside.path_on_host(Path("/var/lib/rie/other")) == Path("/srv/data/other")
    assert inside.path_on_host(Path("/var/lib/riegel")) is None
    assert inside.server_address == "172.18.0.2"
    outside = EngineNetwork(address="172.17.0.1", name=None, container_id=None, mounts=())
    assert outside.path_on_host(Path("/a/b")) == Path("/a/b")
    assert outside.server_address == "host-gateway"

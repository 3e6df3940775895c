"""The rules by which containers are planned, and the engine's words understood."""

from pathlib import Path

import pytest

from rie_server.executors.docker_container import ContainerPlan, init_nano_processors, nano_processors, with_handler
from rie_server.executors.docker_environment import exit_from, peak_in_statistics
from rie_server.executors.docker_extensions import News, read_news
from rie_server.executors.docker_failures import init_refusal, start_failure
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
        ('exec: "docker-init": executable file not found in $PATH: unknown', "Sandbox.Failure", "install docker-init"),
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "[FATAL tini (7)] exec /no/such failed: No such file or directory",
            "fork/exec /no/such: no such file or directory",
        ),
        (
            "[FATAL tini (12)] exec app failed: No such file or directory",
            "fork/exec app: executable file not found in $PATH",
        ),
        ("[FATAL tini (7)] exec /a failed: Permission denied", "fork/exec /a: permission denied"),
        ("[FATAL tini (7)] of another kind", None),
    ],
)
def test_what_the_engines_init_cannot_start_is_told_in_awss_words(line: str, words: str | None) -> None:
    assert init_refusal(line) == words


@pytest.mark.parametrize(
    ("text", "news"),
    [
        (" started", News(kind="started")),
        (" ended 143", News(kind="ended", exit_code=143)),
        (" extension 1 a name with spaces", News(kind="extension", name="a name with spaces", exit_code=1)),
        (" refused app: permission denied", News(kind="refused", words="app: permission denied")),
        (" ended", None),
        (" extension x y", None),
        ("", None),
    ],
)
def test_what_the_shell_beside_extensions_tells_is_understood_and_nothing_else(text: str, news: News | None) -> None:
    assert read_news(text) == news


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [
        (0, EnvironmentExit(status=0)),
        (3, EnvironmentExit(status=3)),
        (137, EnvironmentExit(signal=9)),
        (126, EnvironmentExit(launch_error="fork/exec /opt/extensions/watcher: permission denied")),
        (127, EnvironmentExit(launch_error="fork/exec /opt/extensions/watcher: no such file or directory")),
    ],
)
def test_an_extensions_exit_code_is_told_as_its_end(exit_code: int, told: EnvironmentExit) -> None:
    assert News(kind="extension", name="watcher", exit_code=exit_code).exit() == told


@pytest.mark.parametrize(
    ("command_line", "handler"),
    [
        (("node", "/opt/ric/index.mjs", "app.handler"), "app.handler"),
        (("/entry.sh", "app.handler"), "app.handler"),
        (("/bootstrap",), None),
        ((), None),
    ],
)
def test_an_images_handler_is_the_last_argument_of_its_command_line(
    command_line: tuple[str, ...], handler: str | None
) -> None:
    plan = ContainerPlan(
        name="rie-1",
        image="orders",
        platform=None,
        entry_point=None,
        command=None,
        working_directory=None,
        variables={"STAGE": "test"},
        labels={},
        code_on_host=None,
        layers_on_host=None,
        host_name="here",
        extra_hosts={},
        network=None,
        memory_bytes=1,
        nano_processors=1,
        temporary_megabytes=1,
    )
    assert with_handler(plan, command_line).variables.get("_HANDLER") == handler

"""What every executor promises, tried on real environments: processes of this machine, and containers."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.clock import SystemClock
from rie_server.errors import EnvironmentStartError
from rie_server.executors.docker import DockerExecutor
from rie_server.executors.layer_mounts import LayerMounts
from rie_server.executors.process import ProcessExecutor
from rie_server.model.arn import FunctionArn
from rie_server.model.environment import EnvironmentExit, EnvironmentSpec
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.model.log_record import LogRecord
from rie_server.owner import current_owner
from rie_server.ports import Executor, RunningEnvironment
from tests.conftest import wait_until
from tests.docker_engine import build_image, connect, containers_of, runtime_image
from tests.fakes.runtime_endpoints import FakeRuntimeApi, FakeRuntimeEndpoints

APP = """
import ctypes, os, resource, subprocess, sys, threading, time

def handler(event, context):
    return globals()[event.pop("do")](**event)

def variables():
    return dict(os.environ)

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

def say_aside(text):
    os.write(2, text.encode())

def log(lines):
    import logging
    print("before", flush=True)
    logging.getLogger().error("\\n".join(lines))
    print("after", flush=True)

def log_and_leave():
    import logging
    logging.getLogger().error("last\\nwords")
    os._exit(1)

def resolve(name):
    import socket
    return socket.gethostbyname(name)

def leave(status):
    print("leaving", flush=True)
    os._exit(status)

def crash():
    ctypes.string_at(0)

def hog():
    kept = []
    while True:
        kept.append(bytearray(b"x" * (8 * 1024 * 1024)))

def use(megabytes):
    return len(bytearray(b"x" * (megabytes * 1024 * 1024)))

def touch(path):
    open(path, "w").close()

def kill_itself(number):
    os.kill(os.getpid(), number)

def detach():
    # A daemon in the old style: its own session, and no parent that waits.
    child = subprocess.Popen(
        [sys.executable, "-c", "import os, time\\nif os.fork(): os._exit(0)\\n"
         "os.setsid()\\nif os.fork(): os._exit(0)\\nprint(os.getpid(), flush=True)\\ntime.sleep(600)"],
        stdout=subprocess.PIPE)
    return int(child.stdout.readline())

def work_on():
    def work():
        while True:
            print("tick", flush=True)
            time.sleep(0.01)
    threading.Thread(target=work, daemon=True).start()

def hold_pipe_and_leave():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    os._exit(0)

def layers():
    import tool
    program = subprocess.run(["greet"], capture_output=True, text=True).stdout.strip()
    try:
        open("/opt/rie-was-here", "w").close()
        writable = True
    except OSError:
        writable = False
    data = open("/opt/data.txt").read() if os.path.exists("/opt/data.txt") else None
    return {"module": tool.NAME, "program": program, "opt": sorted(os.listdir("/opt")), "data": data,
            "writable": writable}

def facts():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    disk = os.statvfs("/tmp")
    try:
        open("/rie-was-here", "w").close()
        writable = True
    except OSError:
        writable = False
    try:
        open("/var/task/rie-was-here", "w").close()
        code_writable = True
    except OSError:
        code_writable = False
    return {
        "uid": os.getuid(), "cwd": os.getcwd(), "code": os.path.dirname(__file__), "first": sys.path[0],
        "root_writable": writable, "code_writable": code_writable,
        "capabilities": status["CapEff"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
        "tmp_megabytes": disk.f_blocks * disk.f_frsize // (1024 * 1024), "tmp_mode": os.stat("/tmp").st_mode & 0o7777,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
"""

BOOTSTRAP = """#!/bin/sh
echo "bootstrap $_HANDLER"
exit 3
"""


class Observer:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.records: list[LogRecord] = []
        self.exits: list[EnvironmentExit] = []
        self.exited = threading.Event()
        self.lines_at_exit = 0
        self.extensions: list[str] = []
        self.extension_lines: list[bytes] = []
        self.extension_exits: dict[str, EnvironmentExit] = {}

    def on_output(self, line: bytes) -> None:
        self.lines.append(line)

    def on_record(self, record: LogRecord) -> None:
        self.records.append(record)
        self.lines.append(record.text)

    def on_exit(self, exit_: EnvironmentExit) -> None:
        self.lines_at_exit = len(self.lines)
        self.exits.append(exit_)
        self.exited.set()

    def on_extensions(self, names: Sequence[str]) -> None:
        self.extensions += names

    def on_extension_output(self, line: bytes) -> None:
        self.extension_lines.append(line)

    def on_extension_exit(self, name: str, exit_: EnvironmentExit) -> None:
        assert name not in self.extension_exits
        self.extension_exits[name] = exit_

    def exit(self, *, seconds: float = 20.0) -> EnvironmentExit:
        assert self.exited.wait(seconds), f"no exit within {seconds} s; output: {self.lines}"
        return self.exits[0]


@dataclass
class Started:
    running: RunningEnvironment
    observer: Observer
    api: FakeRuntimeApi
    spec: EnvironmentSpec


class Bench:
    """An executor with what a test needs around it."""

    def __init__(self, executor: Executor, endpoints: FakeRuntimeEndpoints, code: Path, runtime: str) -> None:
        self.executor = executor
        self.endpoints = endpoints
        self.code = code
        self.runtime = runtime
        self.left: Callable[[], object] = list

    def spec(self, *, memory_mb: int = 256, variables: dict[str, str] | None = None, **changes: Any) -> EnvironmentSpec:
        function = FunctionVersion(
            arn=FunctionArn(region="us-east-1", account="000000000000", name="f"),
            version="$LATEST",
            deployment_id="1",
            runtime=self.runtime,
            handler="app.handler",
            timeout_seconds=3,
            memory_size_mb=memory_mb,
            ephemeral_storage_mb=512,
            architecture="x86_64",
            variables={},
            code_directory=self.code,
            image_uri=None,
            image_config=ImageConfig(),
            log_group="/aws/lambda/f",
            role="",
        )
        return EnvironmentSpec(
            environment_id=secrets.token_hex(16),
            function=replace(function, **changes),
            variables=variables or {"_HANDLER": "app.handler", "LAMBDA_TASK_ROOT": "/var/task", "GREETING": "hello"},
        )

    def start(self, *, wait: bool = True, **changes: Any) -> Started:
        spec = self.spec(**changes)
        observer = Observer()
        running = self.executor.start(spec, observer)
        api = self.endpoints.open[spec.environment_id]
        if wait:
            assert api.polled.wait(20), f"no next; output: {observer.lines}, exits: {observer.exits}"
        return Started(running=running, observer=observer, api=api, spec=spec)


@pytest.fixture
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir(mode=0o755)
    (folder / "app.py").write_text(APP)
    return folder


@pytest.fixture
def process_bench(clock: SystemClock, code: Path, tmp_path: Path) -> Iterator[Bench]:
    endpoints = FakeRuntimeEndpoints()
    executor = ProcessExecutor(server_id="test", data_dir=tmp_path / "data", endpoints=endpoints, clock=clock)
    bench = Bench(executor, endpoints, code, "python3.11")
    bench.left = lambda: list((tmp_path / "data").rglob("*"))
    yield bench
    executor.close()
    endpoints.close_all()
    assert bench.left() == []


@pytest.fixture
def docker_bench(clock: SystemClock, code: Path) -> Iterator[Bench]:
    client = connect()
    image = runtime_image(client)
    client.close()
    server_id = f"test-{secrets.token_hex(4)}"
    endpoints = FakeRuntimeEndpoints()
    executor = DockerExecutor(
        server_id=server_id,
        owner=current_owner(),
        runtime_image="rie-server/{runtime}",
        endpoints=endpoints,
        clock=clock,
    )
    endpoints._container_address = executor.bridge_gateway() or "127.0.0.1"
    bench = Bench(executor, endpoints, code, image.rpartition("/")[2])
    bench.left = lambda: containers_of(server_id)
    yield bench
    executor.close()
    endpoints.close_all()
    assert bench.left() == []


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest) -> Bench:
    found = request.getfixturevalue(f"{request.param}_bench")
    assert isinstance(found, Bench)
    return found


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# --- every executor ---------------------------------------------------------------------------------------------------


def test_a_started_environment_asks_for_events_and_answers_them(bench: Bench) -> None:
    started = bench.start()
    kind, variables = started.api.invoke({"do": "variables"})
    assert kind == "response"
    assert variables["GREETING"] == "hello"


def test_a_record_of_several_lines_stays_one_record_in_its_place(bench: Bench) -> None:
    started = bench.start()
    started.api.invoke({"do": "log", "lines": ["one", "two"]})
    wait_until(lambda: b"after" in started.observer.lines)
    started.running.flush_output()
    [record] = started.observer.records
    assert record.text.startswith(b"[ERROR]\t")
    assert record.text.endswith(b"\tone\ntwo")
    assert record.level in ("ERROR", None), "the runtime tells the level where a log format is set"
    assert record.at_epoch_seconds == pytest.approx(time.time(), abs=30)
    assert started.observer.lines == [b"before", record.text, b"after"]


def test_the_last_record_of_a_runtime_is_not_lost(bench: Bench) -> None:
    started = bench.start()
    started.api.events.put({"do": "log_and_leave"})
    started.observer.exit()
    assert [record.text[-10:] for record in started.observer.records] == [b"last\nwords"]


def test_an_environment_sees_the_given_variables_and_nothing_of_the_servers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    given = {"_HANDLER": "app.handler", "GREETING": "grüezi = 'x' $y", "EMPTY": "", "TZ": ":UTC"}
    started = bench.start(variables=given)
    _, seen = started.api.invoke({"do": "variables"})
    assert {name: seen.get(name) for name in given} == given
    own = {"AWS_LAMBDA_RUNTIME_API", "PATH", "PYTHONPATH", "TMPDIR", "LC_CTYPE"}
    of_images = {"HOSTNAME", "HOME", "LAMBDA_TASK_ROOT", "LANG", "PWD", "OLDPWD", "_"}
    further = set(seen) - set(given) - own - (of_images if bench.executor.name == "docker" else set())
    assert further == set()


def layer(folder: Path) -> Path:
    for name, text, mode in (
        ("python/tool.py", "NAME = 'tool'", 0o644),
        ("bin/greet", "#!/bin/sh\necho hello from a layer\n", 0o755),
        ("data.txt", "data", 0o644),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    return folder


def look_at_layers(bench: Bench, folder: Path) -> dict[str, Any]:
    search = {"PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"}
    started = bench.start(layers_directory=folder, variables={"_HANDLER": "app.handler", **search})
    _, seen = started.api.invoke({"do": "layers"})
    assert isinstance(seen, dict)
    return seen


def test_layers_are_found_by_their_search_paths(bench: Bench, tmp_path: Path) -> None:
    seen = look_at_layers(bench, layer(tmp_path / "layer"))
    assert seen["module"] == "tool"
    assert seen["program"] == "hello from a layer"


def test_layers_are_seen_read_only_at_opt(bench: Bench, tmp_path: Path) -> None:
    if bench.executor.name == "process" and not LayerMounts().prefix(tmp_path, [], hosts=tmp_path):
        pytest.skip("processes see layers at /opt where the server may mount alone")
    outside = set(Path("/opt").iterdir())
    seen = look_at_layers(bench, layer(tmp_path / "layer"))
    assert seen["opt"] == ["bin", "data.txt", "python"]
    assert seen["data"] == "data"
    assert not seen["writable"]
    assert set(Path("/opt").iterdir()) == outside


def test_a_process_with_layers_knows_itself_by_the_name_under_which_extensions_listen(
    process_bench: Bench, tmp_path: Path
) -> None:
    if not LayerMounts().prefix(tmp_path, [], hosts=tmp_path):
        pytest.skip("processes have names of their own where the server may mount alone")
    before = Path("/etc/hosts").read_text()
    started = process_bench.start(layers_directory=layer(tmp_path / "layer"))
    assert started.api.invoke({"do": "resolve", "name": "sandbox.localdomain"}) == ("response", "127.0.0.1")
    assert Path("/etc/hosts").read_text() == before


def test_where_nothing_can_be_mounted_layers_are_found_nevertheless(
    process_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rie_server.executors.layer_mounts._look", list)
    seen = look_at_layers(process_bench, layer(tmp_path / "layer"))
    assert (seen["module"], seen["program"], seen["data"]) == ("tool", "hello from a layer", None)


def test_a_layers_bootstrap_runs_where_the_code_has_none(process_bench: Bench, tmp_path: Path) -> None:
    folder = layer(tmp_path / "layer")
    (folder / "bootstrap").write_text(BOOTSTRAP)
    (folder / "bootstrap").chmod(0o755)
    started = process_bench.start(wait=False, runtime="provided.al2023", layers_directory=folder)
    assert started.observer.exit() == EnvironmentExit(status=3)
    assert started.observer.lines[0].startswith(b"bootstrap")


def test_output_comes_line_by_line_and_a_last_line_without_newline_at_a_flush(bench: Bench) -> None:
    started = bench.start()
    lines = started.observer.lines
    started.api.invoke({"do": "say", "text": "one\ntwo\n\nthr"})
    wait_until(lambda: started.running.flush_output() or len(lines) >= 4, what="four lines")
    started.api.invoke({"do": "say_aside", "text": "aside\n"})
    wait_until(lambda: len(lines) >= 5, what="the fifth line, without being asked for")
    assert lines == [b"one", b"two", b"", b"thr", b"aside"]


def test_a_line_longer_than_256_kilobytes_comes_in_pieces_and_complete(bench: Bench) -> None:
    started = bench.start()
    started.api.invoke({"do": "say", "text": "x" * 300_000 + "\n"})
    lines = started.observer.lines
    wait_until(lambda: started.running.flush_output() or sum(map(len, lines)) >= 300_000, what="the line")
    assert b"".join(lines) == b"x" * 300_000
    assert max(map(len, lines)) <= 256 * 1024


def test_an_exit_status_is_told_once_after_the_last_output(bench: Bench) -> None:
    started = bench.start()
    started.api.events.put({"do": "leave", "status": 7})
    assert started.observer.exit() == EnvironmentExit(status=7)
    assert started.observer.lines[-1] == b"leaving"
    started.running.stop()
    time.sleep(0.2)
    assert len(started.observer.exits) == 1
    assert started.observer.lines_at_exit == len(started.observer.lines)


def test_a_crash_is_told_as_its_signal(bench: Bench) -> None:
    started = bench.start()
    started.api.events.put({"do": "crash"})
    assert started.observer.exit() == EnvironmentExit(signal=signal.SIGSEGV)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_runtime_that_sends_itself_a_signal_ends_by_it(bench: Bench, number: int) -> None:
    started = bench.start()
    started.api.events.put({"do": "kill_itself", "number": number})
    assert started.observer.exit() == EnvironmentExit(signal=number)


def test_memory_beyond_the_limit_ends_the_environment_as_out_of_memory(bench: Bench) -> None:
    started = bench.start(memory_mb=128)
    started.api.events.put({"do": "hog"})
    assert started.observer.exit() == EnvironmentExit(signal=signal.SIGKILL, out_of_memory=True)
    assert 100 <= started.running.peak_memory_mb() <= 128


def test_peak_memory_is_measured_and_never_falls(bench: Bench) -> None:
    started = bench.start(memory_mb=512)
    before = wait_until(started.running.peak_memory_mb, what="a figure")
    assert 5 <= before <= 120
    started.api.invoke({"do": "use", "megabytes": 150})
    wait_until(lambda: started.running.peak_memory_mb() >= before + 130, what="the higher figure")
    started.api.invoke({"do": "use", "megabytes": 1})
    time.sleep(0.1)
    assert before + 130 <= started.running.peak_memory_mb() <= 512


def test_stop_ends_everything_and_frees_what_was_held(bench: Bench) -> None:
    started = bench.start()
    begun = time.monotonic()
    started.running.stop()
    assert time.monotonic() - begun < 0.2
    assert started.observer.exit().signal == signal.SIGKILL
    started.running.stop()
    wait_until(lambda: started.spec.environment_id in bench.endpoints.closed, what="the address to be closed")


def test_a_runtime_is_asked_to_end_by_sigterm_and_killed_after_the_grace(bench: Bench) -> None:
    (bench.code / "patient.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('asked to end', flush=True))\n"
        "from app import handler\n"
    )
    started = bench.start(
        handler="patient.handler",
        variables={"_HANDLER": "patient.handler", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"},
    )
    started.running.end_runtime(grace_seconds=1.0)
    assert started.observer.exit().signal == signal.SIGKILL
    assert b"asked to end" in started.observer.lines


@pytest.fixture(params=["control group", "signals", pytest.param("docker", marks=pytest.mark.docker)])
def freezing_bench(request: pytest.FixtureRequest, clock: SystemClock, code: Path, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "docker":
        yield request.getfixturevalue("docker_bench")
        return
    endpoints = FakeRuntimeEndpoints()
    data_dir = tmp_path / "data"
    executor = ProcessExecutor(server_id="test", data_dir=data_dir, endpoints=endpoints, clock=clock, freezing=True)
    if request.param == "signals":
        executor._cgroups = None
    yield Bench(executor, endpoints, code, "python3.11")
    executor.close()
    endpoints.close_all()
    assert list(data_dir.rglob("*")) == []


def stands_still(observer: Observer) -> bool:
    before = len(observer.lines)
    time.sleep(0.2)
    return len(observer.lines) == before


def test_a_frozen_environment_stands_still_until_it_is_thawed(freezing_bench: Bench) -> None:
    started = freezing_bench.start()
    started.api.invoke({"do": "work_on"})
    wait_until(lambda: started.observer.lines, what="its work")
    for _ in range(2):
        started.running.freeze()
        started.running.freeze()
        wait_until(lambda: stands_still(started.observer), what="the frost")
        started.running.thaw()
        started.running.thaw()
        wait_until(lambda: not stands_still(started.observer), what="the thaw")
    assert started.api.invoke({"do": "variables"})[0] == "response"


def test_a_frozen_environment_is_stopped_like_others(freezing_bench: Bench) -> None:
    started = freezing_bench.start()
    started.api.invoke({"do": "work_on"})
    started.running.freeze()
    started.running.stop()
    assert started.observer.exit().signal == signal.SIGKILL
    started.running.freeze()
    started.running.thaw()
    wait_until(lambda: started.spec.environment_id in freezing_bench.endpoints.closed, what="the address to be closed")


def test_close_ends_what_is_frozen(freezing_bench: Bench) -> None:
    started = freezing_bench.start()
    started.running.freeze()
    freezing_bench.executor.close()
    assert started.observer.exits


def test_many_environments_start_at_once(bench: Bench) -> None:
    started: list[Started] = []
    failures: list[BaseException] = []

    def start() -> None:
        try:
            started.append(bench.start())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    answers = {one.api.invoke({"do": "variables"})[1]["AWS_LAMBDA_RUNTIME_API"] for one in started}
    assert len(answers) == 8


def test_close_stops_what_still_runs(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    bench.executor.close()
    assert first.observer.exits
    assert second.observer.exits
    assert bench.left() == []


def test_a_custom_runtime_runs_its_bootstrap(bench: Bench) -> None:
    path = bench.code / "bootstrap"
    path.write_text(BOOTSTRAP)
    path.chmod(0o755)
    runtime = "provided.al2023"
    if bench.executor.name == "docker":
        bench.executor._runtime_image = f"rie-server/{bench.runtime}"
    started = bench.start(wait=False, runtime=runtime)
    assert started.observer.exit() == EnvironmentExit(status=3)
    assert started.observer.lines == [b"bootstrap app.handler"]


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o755, "Couldn't find valid bootstrap"),
        ("#!/bin/sh\n", 0o644, "permission denied"),
        ("#!/no/such/shell\n", 0o755, "no such file or directory"),
        ("neither script nor program", 0o755, "exec format error"),
    ],
)
def test_a_bootstrap_that_cannot_run_is_refused_in_aws_words(
    bench: Bench, content: str | None, mode: int, words: str
) -> None:
    if content is not None:
        path = bench.code / "bootstrap"
        path.write_text(content)
        path.chmod(mode)
    if bench.executor.name == "docker":
        bench.executor._runtime_image = f"rie-server/{bench.runtime}"
    with pytest.raises(EnvironmentStartError, match=words) as refused:
        bench.start(wait=False, runtime="provided.al2023")
    assert refused.value.error_type == "Runtime.InvalidEntrypoint"
    assert bench.endpoints.open == {}


def test_a_runtime_that_cannot_run_here_is_explained(bench: Bench) -> None:
    reason = bench.executor.supports(bench.spec(runtime="cobol85").function)
    assert reason is not None
    assert "cobol85" in reason
    assert bench.executor.supports(bench.spec().function) is None


def test_code_that_is_gone_is_refused(bench: Bench) -> None:
    with pytest.raises(EnvironmentStartError) as refused:
        bench.start(wait=False, code_directory=bench.code / "nowhere")
    assert refused.value.error_type == "Runtime.InvalidWorkingDir"
    assert bench.endpoints.open == {}


# --- external extensions ----------------------------------------------------------------------------------------------

SLEEPS = '#!/bin/sh\necho "here is $0"\nexec sleep 600\n'


@pytest.fixture
def images() -> Iterator[list[str]]:
    """Tags of images that a test makes."""
    tags: list[str] = []
    yield tags
    if tags:
        client = connect()
        for tag in tags:
            client.images.remove(tag, force=True)
        client.close()


def with_extensions(
    bench: Bench, images: list[str], scripts: Mapping[str, str], *, mode: int = 0o755
) -> dict[str, Any]:
    """What makes a function one with these files in ``/opt/extensions``."""
    if bench.executor.name == "process":
        folder = bench.code.parent / "layers" / "extensions"
        folder.mkdir(parents=True)
        for name, text in scripts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(mode)
        return {"layers_directory": folder.parent}
    files = {f"extensions/{name}": (text, mode) for name, text in scripts.items()} | {"app.py": (APP, 0o644)}
    dockerfile = f"FROM rie-server/{bench.runtime}\nCOPY extensions /opt/extensions\nCOPY app.py /var/task/\n"
    images.append(build_image({**files, "Dockerfile": (dockerfile, 0o644)}))
    config = ImageConfig(command=("app.handler",))
    return {"image_uri": images[-1], "runtime": None, "code_directory": None, "image_config": config}


def test_external_extensions_are_started_before_the_runtime_which_waits_to_be_started(
    bench: Bench, images: list[str]
) -> None:
    function = with_extensions(bench, images, {"first": SLEEPS, "second": SLEEPS})
    started = bench.start(wait=False, **function)
    observer = started.observer
    assert observer.extensions == ["first", "second"]
    wait_until(lambda: len(observer.extension_lines) == 2, what="a line of each")
    assert not started.api.polled.wait(0.5)
    started.running.start_runtime()
    assert started.api.polled.wait(20), f"no next; output: {observer.lines}, exits: {observer.exits}"
    started.api.invoke({"do": "say", "text": "of the handler\n"})
    wait_until(lambda: started.running.flush_output() or observer.lines, what="the handler's line")
    assert observer.lines == [b"of the handler"]
    assert all(line.startswith(b"here is ") for line in observer.extension_lines)


def test_an_extension_of_a_layer_is_started_beside_the_function_and_sees_the_layer(
    bench: Bench, tmp_path: Path
) -> None:
    folder = layer(tmp_path / "layer")
    (folder / "extensions").mkdir()
    (folder / "extensions" / "looks").write_text("#!/bin/sh\ngreet\nexec sleep 600\n")
    (folder / "extensions" / "looks").chmod(0o755)
    search = {"PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"}
    variables = {"_HANDLER": "app.handler", **search}
    started = bench.start(wait=False, layers_directory=folder, variables=variables)
    assert started.observer.extensions == ["looks"]
    wait_until(lambda: started.observer.extension_lines, what="the extension's line")
    assert started.observer.extension_lines == [b"hello from a layer"]
    started.running.start_runtime()
    assert started.api.polled.wait(20)
    assert started.api.invoke({"do": "layers"})[1]["module"] == "tool"


def test_an_extensions_end_is_told_after_its_last_line_and_the_runtime_goes_on(bench: Bench, images: list[str]) -> None:
    script = "#!/bin/sh\necho waiting\nwhile [ ! -e /tmp/go-$NAME ]; do sleep 0.05; done\necho leaving\nexit 3\n"
    function = with_extensions(bench, images, {"leaves": script})
    go = secrets.token_hex(8)
    started = bench.start(wait=False, variables={"_HANDLER": "app.handler", "NAME": go}, **function)
    observer = started.observer
    started.running.start_runtime()
    assert started.api.polled.wait(20), f"no next; output: {observer.lines}"
    assert observer.extension_exits == {}
    started.api.invoke({"do": "touch", "path": f"/tmp/go-{go}"})
    wait_until(lambda: observer.extension_exits, what="the end")
    assert observer.extension_exits == {"leaves": EnvironmentExit(status=3)}
    wait_until(lambda: observer.extension_lines == [b"waiting", b"leaving"], what="its last line")
    assert started.api.invoke({"do": "variables"})[0] == "response"
    Path(f"/tmp/go-{go}").unlink(missing_ok=True)


def test_an_extension_that_cannot_be_executed_is_told_in_awss_words(bench: Bench, images: list[str]) -> None:
    function = with_extensions(bench, images, {"broken": SLEEPS}, mode=0o644)
    started = bench.start(wait=False, **function)
    words = "fork/exec /opt/extensions/broken: permission denied"
    wait_until(lambda: started.observer.extension_exits, what="the refusal")
    assert started.observer.extension_exits == {"broken": EnvironmentExit(launch_error=words)}


def test_an_extension_sees_the_functions_variables_but_not_those_of_the_runtime(
    bench: Bench, images: list[str]
) -> None:
    script = "#!/bin/sh\nenv\nexec sleep 600\n"
    function = with_extensions(bench, images, {"tells": script})
    variables = {
        "_HANDLER": "app.handler",
        "GREETING": "hello",
        "AWS_EXECUTION_ENV": "x",
        "LAMBDA_TASK_ROOT": "/var/task",
    }
    started = bench.start(wait=False, variables=variables, **function)
    lines = started.observer.extension_lines
    wait_until(lambda: b"GREETING=hello" in lines, what="its variables")
    names = {line.partition(b"=")[0].decode() for line in lines}
    assert "AWS_LAMBDA_RUNTIME_API" in names
    assert names.isdisjoint({"_HANDLER", "AWS_EXECUTION_ENV", "LAMBDA_TASK_ROOT"})


def test_the_runtime_ends_alone_and_extensions_may_end_by_themselves(bench: Bench, images: list[str]) -> None:
    script = "#!/bin/sh\nwhile [ ! -e /tmp/end-$NAME ]; do sleep 0.05; done\n"
    go = secrets.token_hex(8)
    function = with_extensions(bench, images, {"stays": script})
    started = bench.start(wait=False, variables={"_HANDLER": "app.handler", "NAME": go}, **function)
    started.running.start_runtime()
    assert started.api.polled.wait(20)
    started.running.end_runtime(grace_seconds=0.3)
    assert started.observer.exit().signal in (signal.SIGTERM, signal.SIGKILL)
    assert started.observer.extension_exits == {}
    started.running.stop()
    wait_until(lambda: started.spec.environment_id in bench.endpoints.closed, what="the end")


def test_a_runtimes_own_end_is_told_while_extensions_go_on(bench: Bench, images: list[str]) -> None:
    function = with_extensions(bench, images, {"stays": SLEEPS})
    started = bench.start(wait=False, **function)
    started.running.start_runtime()
    assert started.api.polled.wait(20)
    started.api.events.put({"do": "leave", "status": 7})
    assert started.observer.exit() == EnvironmentExit(status=7)
    assert started.observer.lines[-1] == b"leaving"
    assert started.observer.extension_exits == {}


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_process_starts_in_its_code_which_comes_first_on_the_path(process_bench: Bench) -> None:
    started = process_bench.start()
    _, facts = started.api.invoke({"do": "facts"})
    assert facts["cwd"] == facts["code"] == facts["first"] == str(process_bench.code)
    assert facts["files"] == 1024


def test_a_process_that_moved_to_a_session_of_its_own_ends_with_its_environment(process_bench: Bench) -> None:
    started = process_bench.start()
    _, daemon = started.api.invoke({"do": "detach"})
    assert is_running(daemon)
    started.running.stop()
    wait_until(lambda: not is_running(daemon), what="the daemon's end")


def test_without_control_groups_a_detached_process_ends_too(process_bench: Bench) -> None:
    process_bench.executor._cgroups = None
    test_a_process_that_moved_to_a_session_of_its_own_ends_with_its_environment(process_bench)


def test_without_control_groups_memory_is_limited_by_the_kernels_data_limit(process_bench: Bench) -> None:
    process_bench.executor._cgroups = None
    started = process_bench.start(memory_mb=128)
    kind, answer = started.api.invoke({"do": "hog"})
    assert (kind, answer["errorType"]) == ("error", "MemoryError")
    assert started.running.peak_memory_mb() <= 128


def test_a_folder_that_cannot_be_made_is_a_failure_of_the_machine_and_leaves_nothing(process_bench: Bench) -> None:
    folders = process_bench.executor._folders
    folders._own.parent.mkdir(parents=True)
    folders._own.write_text("in the way")
    with pytest.raises(EnvironmentStartError, match="could not be started") as refused:
        process_bench.start(wait=False)
    assert refused.value.error_type == "Sandbox.Failure"
    assert process_bench.endpoints.open == {}
    folders._own.unlink()


def test_a_command_line_that_no_system_takes_is_a_failure_to_start_and_leaves_nothing(process_bench: Bench) -> None:
    with pytest.raises(EnvironmentStartError) as refused:
        process_bench.start(wait=False, handler="app.handler\x00")
    assert refused.value.error_type == "Sandbox.Failure"
    assert process_bench.endpoints.open == {}
    assert list(process_bench.executor._folders._own.iterdir()) == []


def test_a_child_that_keeps_the_output_open_does_not_delay_the_exit(process_bench: Bench) -> None:
    started = process_bench.start()
    begun = time.monotonic()
    started.api.events.put({"do": "hold_pipe_and_leave"})
    assert started.observer.exit() == EnvironmentExit(status=0)
    assert time.monotonic() - begun < 2


def test_temporary_files_are_private_and_go_with_the_environment(process_bench: Bench) -> None:
    first, second = process_bench.start(), process_bench.start()
    folders = {one.api.invoke({"do": "variables"})[1]["TMPDIR"] for one in (first, second)}
    assert len(folders) == 2
    assert all(Path(folder).is_dir() for folder in folders)
    first.running.stop()
    second.running.stop()
    wait_until(lambda: not any(Path(folder).exists() for folder in folders), what="the folders' removal")


def test_extensions_and_what_they_have_started_end_with_their_environment(
    process_bench: Bench, images: list[str]
) -> None:
    script = "#!/bin/sh\nsetsid sleep 600 &\necho $$ $!\nexec sleep 600\n"
    started = process_bench.start(wait=False, **with_extensions(process_bench, images, {"forks": script}))
    lines = started.observer.extension_lines
    wait_until(lambda: lines, what="its line")
    extension, child = map(int, lines[0].split())
    assert is_running(extension)
    started.running.stop()
    wait_until(lambda: not is_running(extension) and not is_running(child), what="their end")


@pytest.mark.parametrize("frozen", [False, True])
def test_a_killed_server_takes_its_processes_along_and_the_rest_goes_at_the_next_start(
    clock: SystemClock, code: Path, tmp_path: Path, frozen: bool
) -> None:
    data_dir = tmp_path / "data"
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from tests.contract import test_executors as t\n"
        "from pathlib import Path\n"
        "clock = t.SystemClock(); clock.start()\n"
        "endpoints = t.FakeRuntimeEndpoints()\n"
        "executor = t.ProcessExecutor(server_id='x', data_dir=Path(sys.argv[2]), endpoints=endpoints, clock=clock,\n"
        f"                             freezing={frozen})\n"
        "started = t.Bench(executor, endpoints, Path(sys.argv[3]), 'python3.11').start()\n"
        "daemon = started.api.invoke({'do': 'detach'})[1]\n"
        f"if {frozen}: started.running.freeze()\n"
        "print(started.running._child.process_id, daemon, flush=True)\n"
        "time.sleep(600)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(root), str(data_dir), str(code)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        first, daemon = map(int, server.stdout.readline().split())
        executor = ProcessExecutor(server_id="x", data_dir=data_dir, endpoints=FakeRuntimeEndpoints(), clock=clock)
        assert executor.remove_orphans() == 0, "a living server's environment is no orphan"
        assert is_running(first)
        server.kill()
        server.wait()
        if not frozen:
            wait_until(lambda: not is_running(first), what="the runtime's end")
        assert is_running(daemon)
        assert executor.remove_orphans() == 1
        wait_until(lambda: not is_running(daemon) and not is_running(first), what="their end")
        executor.close()
    assert list(data_dir.rglob("*")) == []


# --- containers -------------------------------------------------------------------------------------------------------


@pytest.mark.docker
def test_a_container_knows_itself_by_the_name_under_which_extensions_listen(docker_bench: Bench) -> None:
    started = docker_bench.start()
    _, address = started.api.invoke({"do": "resolve", "name": "sandbox.localdomain"})
    assert address == docker_bench.endpoints.sources[started.spec.environment_id]


def test_a_container_is_as_confined_as_awss_sandbox(docker_bench: Bench) -> None:
    started = docker_bench.start(memory_mb=256, ephemeral_storage_mb=600)
    _, facts = started.api.invoke({"do": "facts"})
    assert facts["uid"] == 993
    assert facts["capabilities"] == "0000000000000000"
    assert facts["no_new_privileges"] == "1"
    assert facts["root_writable"] is False
    assert facts["code_writable"] is False
    assert (facts["tmp_megabytes"], facts["tmp_mode"]) == (600, 0o1777)
    assert facts["cwd"] == facts["code"] == "/var/task"
    api = docker_bench.executor._engine.api()
    container = api.inspect_container(f"rie-{started.spec.environment_id}")
    host = container["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 256 * 1024 * 1024
    assert host["PidsLimit"] == 1024
    assert container["Config"]["Labels"]["rie.function"] == "f"


@pytest.mark.docker
def test_a_container_gets_its_share_of_processors_once_init_is_over(docker_bench: Bench) -> None:
    started = docker_bench.start(memory_mb=256)
    api = docker_bench.executor._engine.api()

    def processors() -> int:
        return int(api.inspect_container(f"rie-{started.spec.environment_id}")["HostConfig"]["NanoCpus"])

    assert processors() == min(2, os.cpu_count() or 1) * 1_000_000_000
    started.running.flush_output()
    wait_until(lambda: processors() == 256 * 1_000_000_000 // 1769, what="the share")
    assert started.api.invoke({"do": "variables"})[0] == "response"


@pytest.mark.docker
def test_a_container_calls_by_a_name_of_its_own_from_a_known_address(docker_bench: Bench) -> None:
    first, second = docker_bench.start(), docker_bench.start()
    assert len(first.api.hosts | second.api.hosts) == 2
    wait_until(lambda: docker_bench.endpoints.sources[first.spec.environment_id], what="the address")
    assert first.api.peers == {docker_bench.endpoints.sources[first.spec.environment_id]}


@pytest.mark.docker
def test_an_image_that_does_not_exist_is_refused_and_leaves_nothing(docker_bench: Bench) -> None:
    image = "rie-server/no-such-image:1"
    with pytest.raises(EnvironmentStartError, match=image) as refused:
        docker_bench.executor.prepare_image(image)
    assert refused.value.error_type == "InvalidImage"
    with pytest.raises(EnvironmentStartError, match=image) as refused:
        docker_bench.start(wait=False, image_uri=image, runtime=None, code_directory=None)
    assert refused.value.error_type == "InvalidImage"
    assert docker_bench.left() == []
    assert docker_bench.endpoints.open == {}


CANNOT_START = [
    (ImageConfig(entry_point=("/no/such/program",)), "fork/exec /no/such/program: no such file or directory"),
    (ImageConfig(entry_point=("no-such-program",)), "fork/exec no-such-program: executable file not found in $PATH"),
    (ImageConfig(entry_point=("/etc/hostname",)), "fork/exec /etc/hostname: permission denied"),
]


@pytest.mark.docker
@pytest.mark.parametrize(("config", "words"), CANNOT_START)
def test_an_entry_point_that_cannot_start_is_told_in_awss_words(
    docker_bench: Bench, config: ImageConfig, words: str
) -> None:
    image = f"rie-server/{docker_bench.runtime}"
    started = docker_bench.start(wait=False, image_uri=image, runtime=None, code_directory=None, image_config=config)
    assert started.observer.exit() == EnvironmentExit(launch_error=words)
    assert started.observer.lines == []


@pytest.mark.docker
@pytest.mark.parametrize(("config", "words"), CANNOT_START)
def test_beside_extensions_an_entry_point_that_cannot_start_is_told_in_awss_words(
    docker_bench: Bench, images: list[str], config: ImageConfig, words: str
) -> None:
    function = with_extensions(docker_bench, images, {"stays": SLEEPS})
    started = docker_bench.start(wait=False, **{**function, "image_config": config})
    assert started.observer.exit() == EnvironmentExit(launch_error=words)


@pytest.mark.docker
def test_an_image_without_its_working_directory_is_refused_and_leaves_nothing(docker_bench: Bench) -> None:
    image = f"rie-server/{docker_bench.runtime}"
    config = ImageConfig(working_directory="/etc/passwd")
    with pytest.raises(EnvironmentStartError) as refused:
        docker_bench.start(wait=False, image_uri=image, runtime=None, code_directory=None, image_config=config)
    assert refused.value.error_type == "Runtime.InvalidWorkingDir"
    assert docker_bench.left() == []
    assert docker_bench.endpoints.open == {}


@pytest.mark.docker
def test_more_than_ten_extensions_are_too_many_and_leave_nothing(docker_bench: Bench, images: list[str]) -> None:
    function = with_extensions(docker_bench, images, {f"extension-{number}": SLEEPS for number in range(11)})
    with pytest.raises(EnvironmentStartError) as refused:
        docker_bench.start(wait=False, **function)
    assert refused.value.error_type == "Extension.TooManyExtensions"
    assert docker_bench.left() == []
    assert docker_bench.endpoints.open == {}


@pytest.mark.docker
def test_image_config_overrides_what_the_image_says(docker_bench: Bench) -> None:
    config = ImageConfig(entry_point=("/bin/sh", "-c"), command=('echo "$(pwd) $0"; exit 5',), working_directory="/usr")
    image = f"rie-server/{docker_bench.runtime}"
    started = docker_bench.start(wait=False, image_uri=image, runtime=None, code_directory=None, image_config=config)
    assert started.observer.exit() == EnvironmentExit(status=5)
    assert started.observer.lines == [b"/usr /bin/sh"]


@pytest.mark.docker
def test_containers_of_a_server_that_is_gone_are_removed_and_those_of_a_living_one_are_not(
    docker_bench: Bench,
) -> None:
    docker_bench.start()
    executor = docker_bench.executor
    assert executor.remove_orphans() == 0
    planner = executor._planner
    planner._owner, own = "999999999:1", planner._owner
    docker_bench.start()
    planner._owner = own
    assert executor.remove_orphans() == 1
    assert len(docker_bench.left()) == 1

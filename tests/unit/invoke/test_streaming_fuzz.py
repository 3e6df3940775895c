"""Whatever a runtime that streams does, and whenever it ends: one end for its caller, and no state that is none."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rie_server.errors import RuntimeApiError
from rie_server.model.environment import RuntimeState
from tests.unit.invoke.conftest import Runtime, Stage
from tests.unit.invoke.test_streamed_response import Caller, Stream

# Which environment's runtime acts: the first, or the one that was started last.
ACTIONS = ("next", "begin", "write", "finish", "fail", "break", "respond", "error", "exit", "wait", "hold", "invoke")


class Play:
    """One game of a caller, a runtime and the clock."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder, stream_bandwidth=1)
        self.callers: list[Caller] = []
        self.streams: list[tuple[Stream, Caller, list[bytes]]] = []
        self.runtimes: dict[str, Runtime] = {}
        self.invoke()

    def invoke(self) -> None:
        with contextlib.suppress(RuntimeApiError):
            if len(self.callers) < 4:
                self.callers.append(Caller(self.stage, f"request-{len(self.callers)}"))

    def runtime(self, number: int) -> Runtime:
        running = self.stage.executor.started[number % len(self.stage.executor.started)]
        return self.runtimes.setdefault(running.spec.environment_id, Runtime(self.stage, running))

    def begin(self, runtime: Runtime) -> None:
        if not runtime.got:
            return
        request_id = runtime.request_id
        held: list[bool] = []
        response = self.stage.mailbox.begin_response(runtime.id, request_id, "text/plain", held.append)
        stream = object.__new__(Stream)
        stream.held, stream.runtime, stream.response = held, runtime, response
        caller = self.callers[int(request_id.rpartition("-")[2])]
        self.streams.append((stream, caller, []))

    def act(self, action: str, number: int) -> None:
        runtime = self.runtime(number)
        on_stream: dict[str, Callable[[Stream], None]] = {
            "finish": lambda stream: stream.response.finish(None),
            "fail": lambda stream: stream.response.finish(b'{"errorType":"Function.X"}'),
            "break": lambda stream: stream.response.break_off(),
        }
        if action == "invoke":
            self.invoke()
        elif action == "next":
            runtime.next()
        elif action == "begin":
            self.begin(runtime)
        elif action == "respond" and runtime.got:
            runtime.respond()
        elif action == "error" and runtime.got:
            self.stage.mailbox.error(runtime.id, runtime.request_id, b"{}")
        elif action == "exit" and not runtime.running.stopped:
            runtime.running.exit(status=1)
        elif action == "wait":
            self.stage.clock.advance(0.7)
        elif self.streams:
            stream, caller, written = self.streams[number % len(self.streams)]
            if action == "write":
                if caller.result is None:
                    written.append(b"x%d" % number)
                    stream.response.write(written[-1])
            elif action == "hold":
                caller.hold(bool(number % 2))
            elif action in on_stream:
                on_stream[action](stream)

    def check(self) -> None:
        for environment in self.stage.fleet.roster.environments.values():
            if environment.state in (RuntimeState.RUNNING, RuntimeState.RESPONDING):
                assert environment.invocation is not None
                assert environment.deadline is not None
            assert environment.state is not RuntimeState.STOPPED
            assert environment.pool.finishing >= 0
        for _, caller, written in self.streams:
            assert caller.pieces == written


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(min_value=0, max_value=5)), max_size=40))
def test_every_invocation_ends_once_whatever_its_runtime_does(actions: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder))
        for action, number in actions:
            # A refusal is AWS's answer; anything else that is raised is a defect.
            with contextlib.suppress(RuntimeApiError):
                play.act(action, number)
            play.check()
        for runtime in list(play.runtimes.values()):
            if not runtime.running.stopped:
                runtime.running.exit(status=1)
        for _ in range(40):
            play.stage.clock.advance(5)
            for running in list(play.stage.executor.started):
                if not running.stopped:
                    running.exit(status=1)
        assert all(caller.result is not None for caller in play.callers)
        assert play.stage.front_controller.running == 0
        assert play.stage.fleet.roster.environments == {}

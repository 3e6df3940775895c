"""Runtime and Extensions API under calls in any order, of any shape, with any process ending at any moment.

Whatever comes: no 5xx, no exception, one answer for every invocation, and books that add up.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.runtime_api.extensions import ExtensionsApi
from rie_server.api.runtime_api.operations import RuntimeApi
from rie_server.invoke.sharing import SharedEnvironment
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.extension import ExtensionState
from tests.fakes.executor import FakeRunning
from tests.unit.invoke.conftest import Stage

NAMES = ("outside", "inside", "other")
RUNTIME = "/2018-06-01/runtime/"
EXTENSION = "/2020-01-01/extension/"
PATHS = st.sampled_from(
    [
        f"{RUNTIME}invocation/next",
        f"{RUNTIME}invocation/r1/response",
        f"{RUNTIME}invocation/r1/error",
        f"{RUNTIME}invocation//response",
        f"{RUNTIME}init/error",
        f"{RUNTIME}restore/next",
        f"{RUNTIME}restore/error",
        f"{EXTENSION}register",
        f"{EXTENSION}event/next",
        f"{EXTENSION}init/error",
        f"{EXTENSION}exit/error",
        f"{EXTENSION}",
        "/",
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "lambda-extension-name",
            "lambda-extension-identifier",
            "lambda-extension-accept-feature",
            "lambda-extension-function-error-type",
            "lambda-runtime-function-error-type",
            "lambda-runtime-function-response-mode",
            "lambda-runtime-invocation-id",
        ]
    ),
    st.one_of(st.sampled_from(["", "outside", "streaming", "accountId"]), st.text(max_size=40)),
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["events", "x"]), inner, max_size=2)
        ),
        max_leaves=6,
    ).map(lambda document: json.dumps(document).encode()),
)


class Connection:
    local_address = ("127.0.0.1", 9001)
    peer_address = "127.0.0.1"

    def __init__(self, environment_id: str) -> None:
        self.environment_id = environment_id
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive


class Identities:
    def environment_of(self, request: Request) -> str | None:
        return request.connection.environment_id  # type: ignore[attr-defined]


class Routers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stage = Stage(Path(self.folder.name), max_environments=3, concurrency_limit=4)
        identities = Identities()
        self.runtime_api = RuntimeApi(mailbox=self.stage.mailbox, identities=identities)  # type: ignore[arg-type]
        extensions_api = ExtensionsApi(extensions=self.stage.extensions, identities=identities)  # type: ignore[arg-type]
        self.routes = {(route.method, route.prefix): route.operation for route in extensions_api.hot_routes}
        self.connections: list[Connection] = []
        self.identifiers: dict[tuple[str, str], str] = {}
        self.gone: set[tuple[str, str]] = set()
        self.admitted: list[str] = []

    @initialize(external=st.booleans(), kind=st.sampled_from(["usual", "snap start", "shared"]))
    def begin(self, external: bool, kind: str) -> None:
        self.stage.executor.extensions = ("outside",) if external else ()
        self.stage.catalog.functions["orders"] = replace(
            self.stage.catalog.functions["orders"],
            snap_start=kind == "snap start",
            max_concurrency=2 if kind == "shared" else None,
        )

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(
        self, running: FakeRunning, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply | None:
        connection = Connection(running.spec.environment_id)
        self.connections.append(connection)
        request = Request(method, path, "", headers or {}, body, connection)
        answer = self.routes.get((method, path), self.runtime_api)(request)
        if isinstance(answer, Deferred):
            answer = answer.wait(0)
        assert answer is None or answer.status in (200, 202, 400, 403, 404, 410, 413), answer.body
        return answer

    def running(self, number: int) -> FakeRunning:
        return self.stage.executor.started[number % len(self.stage.executor.started)]

    @rule(tail=st.booleans())
    def invoke(self, tail: bool) -> None:
        request_id = f"r{len(self.admitted)}"
        if self.stage.front_controller.running < 4:
            self.admitted.append(request_id)
            self.stage.invoke(request_id, want_log_tail=tail)

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5))
    def runtime_asks(self, number: int) -> None:
        self.call(self.running(number), "GET", f"{RUNTIME}invocation/next")

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), kind=st.sampled_from(["response", "error"]))
    def runtime_answers(self, number: int, kind: str) -> None:
        running = self.running(number)
        environment = self.stage.fleet.roster.environments.get(running.spec.environment_id)
        if isinstance(environment, SharedEnvironment):
            working = sorted(seat.last_request_id or "" for seat in environment.working)
            request_id = working[number % len(working)] if working else "r0"
        else:
            request_id = (environment.last_request_id if environment else None) or "r0"
        self.call(running, "POST", f"{RUNTIME}invocation/{request_id}/{kind}", b'"done"')

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), fails=st.booleans())
    def runtime_is_restored(self, number: int, fails: bool) -> None:
        running = self.running(number)
        reply = self.call(running, "GET", f"{RUNTIME}restore/next")
        if fails and reply is not None and reply.status == 200:
            self.call(running, "POST", f"{RUNTIME}restore/error", b"{}")

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), name=st.sampled_from(NAMES), invoke=st.booleans(), shutdown=st.booleans())
    def extension_registers(self, number: int, name: str, invoke: bool, shutdown: bool) -> None:
        running = self.running(number)
        events = [event for event, wanted in (("INVOKE", invoke), ("SHUTDOWN", shutdown)) if wanted]
        body = json.dumps({"events": events}).encode()
        reply = self.call(running, "POST", f"{EXTENSION}register", body, {"lambda-extension-name": name})
        if reply is not None and reply.status == 200:
            identifier = dict(reply.headers)["Lambda-Extension-Identifier"]
            self.identifiers[running.spec.environment_id, name] = identifier

    @precondition(lambda self: self.stage.executor.started)
    @rule(
        number=st.integers(0, 5),
        name=st.sampled_from(NAMES),
        path=st.sampled_from(["event/next", "event/next", "event/next", "init/error", "exit/error"]),
    )
    def extension_calls(self, number: int, name: str, path: str) -> None:
        running = self.running(number)
        identifier = self.identifiers.get((running.spec.environment_id, name), "0")
        headers = {"lambda-extension-identifier": identifier, "lambda-extension-function-error-type": "Broken"}
        self.call(running, "GET" if path == "event/next" else "POST", f"{EXTENSION}{path}", b"{}", headers)

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), method=st.sampled_from(["GET", "POST"]), path=PATHS, headers=HEADERS, body=BODIES)
    def somebody_calls_anything(
        self, number: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.call(self.running(number), method, path, body, headers)

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), events=st.booleans())
    def everybody_gets_ready(self, number: int, events: bool) -> None:
        for name in ("outside", "inside"):
            self.extension_registers(number, name, events, shutdown=name in self.stage.executor.extensions)
            self.extension_calls(number, name, "event/next")
        self.runtime_asks(number)

    # --- what happens -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.connections)
    @rule(number=st.integers(0, 50))
    def a_connection_breaks(self, number: int) -> None:
        self.connections[-1 - number % len(self.connections)].alive = False

    @precondition(lambda self: self.stage.executor.started)
    @rule(number=st.integers(0, 5), status=st.sampled_from([0, 1]))
    def the_runtime_exits(self, number: int, status: int) -> None:
        running = self.running(number)
        has_begun = running.runtime_started or not self.stage.executor.extensions
        if has_begun and self._first_end_of(running, "runtime"):
            running.exit(status=status)

    @precondition(lambda self: self.stage.executor.started and self.stage.executor.extensions)
    @rule(number=st.integers(0, 5), launched=st.booleans())
    def the_external_extension_exits(self, number: int, launched: bool) -> None:
        running = self.running(number)
        if self._first_end_of(running, "outside"):
            words = None if launched else "fork/exec /opt/extensions/outside: permission denied"
            running.extension_exit("outside", status=1 if launched else None, launch_error=words)

    def _first_end_of(self, running: FakeRunning, what: str) -> bool:
        key = running.spec.environment_id, what
        first = key not in self.gone
        self.gone.add(key)
        return first

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 3.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.clock.advance(seconds)

    # --- what holds ---------------------------------------------------------------------------------------------------

    @invariant()
    def the_books_add_up(self) -> None:
        roster = self.stage.fleet.roster
        for pool in roster.pools.values():
            states = [one.state for one in pool.environments]
            begins = [one for one in pool.environments if one.state in INITIALIZING]
            hosts = [one for one in pool.environments if isinstance(one, SharedEnvironment)]
            finishing = sum(one.finishing for one in hosts)
            assert pool.finishing == (finishing if hosts else states.count(RuntimeState.RESPONSE_SENT))
            assert pool.starting == len([one for one in begins if not one.bound])
            assert set(pool.idle) <= {one for one in pool.environments if one.state is RuntimeState.READY}
        assert set(roster.environments) == {one.id for pool in roster.pools.values() for one in pool.environments}
        assert self.stage.front_controller.running <= 4

    @invariant()
    def nobody_is_free_while_an_extension_works(self) -> None:
        for pool in self.stage.fleet.roster.pools.values():
            for environment in pool.idle:
                for one in environment.extensions.by_name.values() if environment.extensions else ():
                    assert one.state is ExtensionState.READY

    def teardown(self) -> None:
        """Whatever hangs ends by its time, or with the server; nobody is left without an answer."""
        self.stage.fleet.close()
        self.stage.supervisor.close()
        assert sorted(self.stage.results) == sorted(self.admitted)
        assert self.stage.front_controller.running == 0
        assert all(running.stopped for running in self.stage.executor.started)
        assert self.stage.supervisor.shutdowns.ending == {}
        self.folder.cleanup()


TestRouters = Routers.TestCase
TestRouters.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)

"""X-Ray: which invocations are sampled, what the runtime is told, and which segments come of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.invoke.sampling import Sampling
from rie_server.model.otlp_spans import export_request
from rie_server.model.traced_invocation import TracedInvocation, segment_documents
from rie_server.model.tracing import new_trace_header, read_trace_header
from tests.fakes.clock import FakeClock
from tests.unit.invoke.conftest import ARN, Stage, function_version

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
OWN = f"Root={ROOT};Parent={ROOT[-16:]};Sampled=0"


class Traces:
    def __init__(self) -> None:
        self.taken: list[TracedInvocation] = []

    def take(self, traced: TracedInvocation) -> None:
        self.taken.append(traced)


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture
def traced_stage(tmp_path: Path, traces: Traces) -> Stage:
    stage = Stage(tmp_path)
    stage.answers._traces = traces
    stage.catalog.functions["orders"] = replace(function_version(), is_traced=True)
    return stage


def documents(traced: TracedInvocation) -> tuple[dict[str, Any], dict[str, Any]]:
    own, function = segment_documents(traced)
    return own, function


# --- headers ----------------------------------------------------------------------------------------------------------


def test_a_header_of_our_own_is_known_as_undecided_however_often_it_is_passed_on() -> None:
    header = new_trace_header(0x5759E988, "bd862e3fe1be46a994272793" + "0" * 8)
    assert header == OWN
    read = read_trace_header(f"{header};Lineage=1:a87bd80c:0")
    assert (read.root, read.parent, read.sampled, read.others) == (ROOT, None, None, ("Lineage=1:a87bd80c:0",))


@pytest.mark.parametrize(
    ("text", "parent", "sampled"),
    [
        (f"Root={ROOT};Parent={PARENT};Sampled=1", PARENT, True),
        (f"Root={ROOT};Parent={PARENT};Sampled=0", PARENT, False),
        (f"Root={ROOT};Parent={PARENT};Sampled=?", PARENT, None),
        (f"Root={ROOT}", None, None),
        ("", None, None),
    ],
)
def test_what_a_caller_has_decided_is_read(text: str, parent: str | None, sampled: bool | None) -> None:
    read = read_trace_header(text)
    assert (read.parent, read.sampled) == (parent, sampled)


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_the_first_of_each_second_is_sampled_and_a_twentieth_of_the_others() -> None:
    clock = FakeClock()
    sampling = Sampling(clock)
    first = [sampling.begin(OWN, ARN)[1] is not None]
    others = [sampling.begin(OWN, ARN)[1] is not None for _ in range(10_000)]
    clock.advance(1.0)
    next_second = sampling.begin(OWN, ARN)[1] is not None
    assert first == [True]
    assert 350 < sum(others) < 650
    assert next_second


def test_the_callers_decision_holds() -> None:
    sampling = Sampling(FakeClock())
    unsampled = f"Root={ROOT};Parent={PARENT};Sampled=0"
    assert sampling.begin(unsampled, ARN) == (unsampled, None)
    for _ in range(50):
        header, segments = sampling.begin(f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a:0", ARN)
        assert segments is not None
        assert segments.parent_id == PARENT
        assert header == f"Root={ROOT};Parent={segments.function_id};Sampled=1;Lineage=1:a:0"


def test_a_trace_without_a_root_gets_one() -> None:
    header, segments = Sampling(FakeClock()).begin("", ARN)
    assert segments is not None
    assert segments.trace_id.startswith("1-6955b900-")
    assert header.startswith(f"Root={segments.trace_id};Parent={segments.function_id};Sampled=1")


# --- segments ---------------------------------------------------------------------------------------------------------


def test_a_cold_invocation_has_its_phases(traced_stage: Stage, traces: Traces) -> None:
    stage = traced_stage
    stage.invoke("r1", trace_header=f"Root={ROOT};Parent={PARENT};Sampled=1")
    stage.clock.advance(0.3)
    runtime = stage.runtime().next()
    stage.clock.advance(0.2)
    runtime.respond()
    [traced] = traces.taken
    own, function = documents(traced)
    begun = 1_767_225_600.0
    assert own == {
        "name": "orders",
        "id": traced.segments.lambda_id,
        "trace_id": ROOT,
        "parent_id": PARENT,
        "start_time": pytest.approx(begun, abs=1e-3),
        "end_time": pytest.approx(begun + 0.5, abs=1e-3),
        "origin": "AWS::Lambda",
        "resource_arn": str(ARN),
        "http": {"response": {"status": 200}},
        "aws": {"request_id": "r1"},
    }
    assert (function["parent_id"], function["origin"]) == (own["id"], "AWS::Lambda::Function")
    assert runtime.got[0].trace_header.startswith(f"Root={ROOT};Parent={function['id']};Sampled=1;Lineage=")
    phases = [(one["name"], one["start_time"], one["end_time"]) for one in function["subsegments"]]
    assert [name for name, _, _ in phases] == ["Initialization", "Invocation", "Overhead"]
    assert phases[0][1:] == (pytest.approx(begun, abs=1e-3), pytest.approx(begun + 0.3, abs=1e-3))
    assert phases[1][1:] == (pytest.approx(begun + 0.3, abs=1e-3), pytest.approx(begun + 0.5, abs=1e-3))


def test_a_failure_is_a_fault_with_its_cause(traced_stage: Stage, traces: Traces) -> None:
    stage = traced_stage
    stage.invoke("r1")
    runtime = stage.runtime().next()
    stage.mailbox.error(runtime.id, "r1", b'{"errorMessage":"no","errorType":"KeyError"}')
    own, function = documents(traces.taken[0])
    assert (own["fault"], function["fault"]) == (True, True)
    [exception] = function["cause"]["exceptions"]
    assert (exception["type"], exception["message"]) == ("KeyError", "no")


def test_a_timeout_is_a_fault(traced_stage: Stage, traces: Traces) -> None:
    stage = traced_stage
    stage.invoke("r1")
    stage.runtime().next()
    stage.clock.advance(3.0)
    _, function = documents(traces.taken[0])
    assert function["cause"]["exceptions"][0]["type"] == "Sandbox.Timedout"


def test_the_report_names_the_trace(traced_stage: Stage, traces: Traces) -> None:
    stage = traced_stage
    stage.invoke("r1", trace_header=f"Root={ROOT};Parent={PARENT};Sampled=1")
    stage.runtime().next().respond()
    segment_id = traces.taken[0].segments.lambda_id
    assert f"\t\nXRAY TraceId: {ROOT}\tSegmentId: {segment_id}\tSampled: true\t\n" in stage.log_text()


def test_a_function_that_passes_through_has_no_segments(stage: Stage, traces: Traces) -> None:
    stage.answers._traces = traces
    stage.invoke("r1", trace_header=f"Root={ROOT};Parent={PARENT};Sampled=1")
    runtime = stage.runtime().next()
    runtime.respond()
    assert runtime.got[0].trace_header.startswith(f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=")
    assert traces.taken == []
    assert "XRAY" not in stage.log_text()


def test_sampled_invocations_run_the_same_when_nobody_takes_traces(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.catalog.functions["orders"] = replace(function_version(), is_traced=True)
    stage.invoke("r1")
    stage.runtime().next().respond()
    assert stage.results["r1"].payload == b'"done"'


def test_spans_are_the_same_tree(traced_stage: Stage, traces: Traces) -> None:
    stage = traced_stage
    stage.invoke("r1", trace_header=f"Root={ROOT};Parent={PARENT};Sampled=1")
    runtime = stage.runtime().next()
    stage.mailbox.error(runtime.id, "r1", b'{"errorMessage":"no","errorType":"KeyError"}')
    request = export_request(traces.taken)
    json.dumps(request)
    [resource] = request["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    segments = traces.taken[0].segments
    assert {span["traceId"] for span in spans} == {"5759e988bd862e3fe1be46a994272793"}
    assert [span["parentSpanId"] for span in spans] == [PARENT, segments.lambda_id, *[segments.function_id] * 3]
    assert [span["name"] for span in spans] == [
        "orders",
        "orders function",
        "Initialization",
        "Invocation",
        "Overhead",
    ]
    assert spans[0]["status"] == {"code": 2, "message": "KeyError: no"}
    assert all(span["startTimeUnixNano"].isdigit() for span in spans)
    names = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
    assert names["service.name"] == {"stringValue": "orders"}


def test_in_a_shared_environment_the_first_invocation_shows_when_initialization_began(
    traced_stage: Stage, traces: Traces
) -> None:
    stage = traced_stage
    stage.catalog.functions["orders"] = replace(function_version(), is_traced=True, max_concurrency=2)
    stage.clock.advance(5.0)
    began_at = stage.clock.now()
    stage.invoke("a")
    stage.clock.advance(0.5)
    stage.runtime().next().respond()
    (phase,) = [one for one in traces.taken[0].phases if one.name == "Initialization"]
    assert phase.started_at == pytest.approx(began_at, abs=1e-3)
    assert phase.ended_at == pytest.approx(began_at + 0.5, abs=1e-3)

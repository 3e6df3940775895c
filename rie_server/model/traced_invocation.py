"""A sampled invocation that has ended, and the segments that X-Ray's daemon gets of it.

Pure. Times are seconds since the epoch. Lambda's own segment (``AWS::Lambda``) spans the request; below it the
function's (``AWS::Lambda::Function``) has the phases as subsegments: Initialization where there was one, Invocation
until the runtime's answer, Overhead until its extensions had finished, too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rie_server.model.arn import FunctionArn
from rie_server.model.tracing import InvocationSegments


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """``name`` is Initialization, Invocation or Overhead; ``id`` has 16 hexadecimal digits."""

    name: str
    id: str
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedInvocation:
    """
    Attributes:
        function: as the caller named it.
        received_at, ended_at: of the request.
        error: ``errorType`` and ``errorMessage`` where the function has failed.
    """

    function: FunctionArn
    version: str
    request_id: str
    segments: InvocationSegments
    received_at: float
    ended_at: float
    phases: tuple[Phase, ...]
    error: tuple[str, str] | None = None

    @property
    def is_cold(self) -> bool:
        return any(phase.name == "Initialization" for phase in self.phases)

    @property
    def function_started_at(self) -> float:
        return min((phase.started_at for phase in self.phases), default=self.received_at)


def error_in(payload: bytes) -> tuple[str, str]:
    """Type and message of an error as a runtime reports it."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return "Unhandled", ""
    return str(document.get("errorType", "Unhandled")), str(document.get("errorMessage", ""))


def segment_documents(traced: TracedInvocation) -> Iterator[dict[str, Any]]:
    """Lambda's segment and the function's, as the daemon takes them."""
    segments, arn = traced.segments, traced.function
    shared = {"name": arn.name, "trace_id": segments.trace_id, "end_time": traced.ended_at}
    fault = {} if traced.error is None else {"fault": True}
    own: dict[str, Any] = {
        **shared,
        "id": segments.lambda_id,
        "start_time": traced.received_at,
        "origin": "AWS::Lambda",
        "resource_arn": str(arn.unqualified),
        "http": {"response": {"status": 200}},
        "aws": {"request_id": traced.request_id},
        **fault,
    }
    if segments.parent_id is not None:
        own["parent_id"] = segments.parent_id
    yield own
    yield {
        **shared,
        "id": segments.function_id,
        "parent_id": segments.lambda_id,
        "start_time": traced.function_started_at,
        "origin": "AWS::Lambda::Function",
        "aws": {"function_arn": str(arn.unqualified), "resource_names": [arn.name], "account_id": arn.account},
        "subsegments": [_subsegment(traced, phase) for phase in traced.phases],
        **fault,
        **_cause(traced),
    }


def _subsegment(traced: TracedInvocation, phase: Phase) -> dict[str, Any]:
    failed = traced.error is not None and phase.name == "Invocation"
    return {
        "id": phase.id,
        "name": phase.name,
        "start_time": phase.started_at,
        "end_time": phase.ended_at,
        **({"fault": True} if failed else {}),
    }


def _cause(traced: TracedInvocation) -> dict[str, Any]:
    if traced.error is None:
        return {}
    error_type, message = traced.error
    exception = {"id": traced.segments.lambda_id[::-1], "type": error_type, "message": message}
    return {"cause": {"exceptions": [exception]}}

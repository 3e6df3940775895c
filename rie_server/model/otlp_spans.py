"""Sampled invocations as OpenTelemetry's spans, in the JSON of OTLP/HTTP (``ExportTraceServiceRequest``).

Pure. The same tree as X-Ray's segments: Lambda's span, the function's below it, the phases below that. Names of
attributes are those of OpenTelemetry's semantic conventions for functions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rie_server.model.traced_invocation import TracedInvocation

_INTERNAL, _SERVER = 1, 2
_STATUS_ERROR = 2
_SCOPE = {"name": "rie_server"}


def export_request(invocations: Sequence[TracedInvocation]) -> dict[str, Any]:
    """One resource for each function; the body of ``POST /v1/traces``."""
    by_function: dict[tuple[str, str], list[TracedInvocation]] = {}
    for traced in invocations:
        by_function.setdefault((str(traced.function.unqualified), traced.version), []).append(traced)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _resource(traced[0])},
                "scopeSpans": [{"scope": _SCOPE, "spans": [span for one in traced for span in _spans(one)]}],
            }
            for traced in by_function.values()
        ]
    }


def otlp_trace_id(xray_trace_id: str) -> str:
    """``1-5759e988-bd862e3fe1be46a994272793`` without what is not a digit of the id."""
    return xray_trace_id.removeprefix("1-").replace("-", "")


def _resource(traced: TracedInvocation) -> list[dict[str, Any]]:
    arn = traced.function
    return _attributes(
        {
            "service.name": arn.name,
            "cloud.provider": "aws",
            "cloud.platform": "aws_lambda",
            "cloud.region": arn.region,
            "cloud.account.id": arn.account,
            "cloud.resource_id": str(arn.unqualified),
            "faas.name": arn.name,
            "faas.version": traced.version,
        }
    )


def _spans(traced: TracedInvocation) -> Iterator[dict[str, Any]]:
    segments = traced.segments
    facts: dict[str, str | bool] = {
        "faas.invocation_id": traced.request_id,
        "faas.coldstart": traced.is_cold,
        "aws.lambda.invoked_arn": str(traced.function),
    }
    own = _span(traced, segments.lambda_id, traced.function.name, traced.received_at, traced.ended_at)
    own |= {"kind": _SERVER, "attributes": _attributes(facts), **_status(traced)}
    if segments.parent_id is not None:
        own["parentSpanId"] = segments.parent_id
    yield own
    function = _span(
        traced, segments.function_id, f"{traced.function.name} function", traced.function_started_at, traced.ended_at
    )
    yield function | {"parentSpanId": segments.lambda_id, **_status(traced)}
    for phase in traced.phases:
        span = _span(traced, phase.id, phase.name, phase.started_at, phase.ended_at)
        yield span | {"parentSpanId": segments.function_id}


def _span(traced: TracedInvocation, span_id: str, name: str, started_at: float, ended_at: float) -> dict[str, Any]:
    return {
        "traceId": otlp_trace_id(traced.segments.trace_id),
        "spanId": span_id,
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(int(started_at * 1e9)),
        "endTimeUnixNano": str(int(ended_at * 1e9)),
    }


def _status(traced: TracedInvocation) -> dict[str, Any]:
    if traced.error is None:
        return {}
    return {"status": {"code": _STATUS_ERROR, "message": ": ".join(part for part in traced.error if part)}}


def _attributes(values: dict[str, str | bool]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"boolValue" if isinstance(value, bool) else "stringValue": value}}
        for key, value in values.items()
    ]

"""What goes into an invocation and what comes out of it.

Pure data: frozen, shared freely between threads.
"""

from dataclasses import dataclass
from enum import StrEnum

from rie_server.errors import LambdaError
from rie_server.model.arn import FunctionArn


class InvocationType(StrEnum):
    """``X-Amz-Invocation-Type``."""

    REQUEST_RESPONSE = "RequestResponse"
    EVENT = "Event"
    DRY_RUN = "DryRun"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeRequest:
    """One request to run a function once.

    Attributes:
        function: as the caller asked, with the qualifier that was given.
        payload: the event, as bytes of JSON.
        request_id: a UUID; all attempts of an asynchronous event share it.
        want_log_tail: ``X-Amz-Log-Type: Tail``.
        client_context: decoded JSON text of ``X-Amz-Client-Context``.
        cognito_identity: JSON text for ``Lambda-Runtime-Cognito-Identity``.
        trace_header: ``X-Amzn-Trace-Id`` as it came, or a new one.
        durable_execution_name: ``X-Amz-Durable-Execution-Name``.
        is_durable_invocation: one of those that carry out a durable execution, and not what begins one.
    """

    function: FunctionArn
    payload: bytes
    request_id: str
    want_log_tail: bool = False
    client_context: str | None = None
    cognito_identity: str | None = None
    trace_header: str = ""
    tenant_id: str | None = None
    durable_execution_name: str | None = None
    is_durable_invocation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeResult:
    """What a function answered, or the platform in its stead.

    Attributes:
        payload: the runtime's bytes, untouched; for platform errors AWS's JSON.
        function_error: ``Unhandled`` where ``X-Amz-Function-Error`` is due, else None.
        executed_version: ``$LATEST`` or a number.
        log_tail: the last 4 KB of the invocation's log when it was asked for.
        refusal: the invocation was accepted and then could not be run at all (no environment came free, the server
            stops); the function never saw it, and ``payload`` is empty.
        durable_execution_arn: of the execution that this is the end of.
        trace_header: of the trace that the invocation has become a part of; None where it was not sampled.
    """

    payload: bytes
    function_error: str | None
    executed_version: str
    log_tail: bytes | None = None
    refusal: LambdaError | None = None
    durable_execution_arn: str | None = None
    trace_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationReport:
    """The figures of a REPORT line; durations in milliseconds.

    Attributes:
        init_duration_ms: set on a cold start only.
        restore_duration_ms: likewise, with SnapStart in place of the former.
        status: None for success, else ``timeout`` or ``error``.
        error_type: with ``status == "error"``, for example ``Runtime.ExitError``.
    """

    request_id: str
    duration_ms: float
    init_duration_ms: float | None
    max_memory_used_mb: int
    status: str | None = None
    error_type: str | None = None
    restore_duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeAnswer:
    """What a runtime's answer to one invocation measured; for those who want to know.

    Attributes:
        duration_ms: until the last byte of the answer.
        latency_ms: until its first byte; None where it came whole, at the end.
        produced_bytes: its size.
    """

    request_id: str
    duration_ms: float
    produced_bytes: int
    latency_ms: float | None = None

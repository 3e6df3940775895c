"""Extensions as AWS's Extensions API (2020-01-01) knows them: states, registrations, events, budgets of the shutdown.

Pure. The table of moves is the whole state machine; whatever is not in it is denied.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rie_server.errors import RuntimeApiError

# Internal and external ones together.
EXTENSIONS_MOST = 10
# The folder whose executables are started as external extensions.
EXTENSIONS_FOLDER = "/opt/extensions"

# How long an environment may take to end: for nothing without extensions.
INTERNAL_SHUTDOWN_SECONDS = 0.5
EXTERNAL_SHUTDOWN_SECONDS = 2.0
# What the runtime gets of the time when external extensions must have theirs, too.
RUNTIME_SHUTDOWN_SECONDS = 0.3

INIT_ERROR = "Extension.InitError"
EXIT_ERROR = "Extension.ExitError"
CRASH = "Extension.Crash"
LAUNCH_ERROR = "Extension.LaunchError"

# What an extension does not get of the function's variables, beside every name that begins with an underscore.
_WITHHELD = frozenset(
    {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


class ExtensionEvent(StrEnum):
    """What an extension may ask to be told."""

    INVOKE = "INVOKE"
    SHUTDOWN = "SHUTDOWN"


class ShutdownReason(StrEnum):
    """Why an environment ends; AWS's documentation has them in capitals, AWS sends them like this."""

    SPINDOWN = "spindown"
    TIMEOUT = "timeout"
    FAILURE = "failure"


class ExtensionState(StrEnum):
    """Where an extension stands; the values are the names that AWS prints."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXITED = "Exited"


class ExtensionMove(StrEnum):
    """What moves an extension; the value is the state that AWS names as the target when it denies the move."""

    REGISTER = "Registered"
    NEXT = "Ready"
    EVENT = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXIT = "Exited"


# A repeated ``next`` is legal: an extension whose connection broke asks again. An error that was reported stays.
LEGAL_MOVES: Mapping[tuple[ExtensionState, ExtensionMove], ExtensionState] = {
    (ExtensionState.STARTED, ExtensionMove.REGISTER): ExtensionState.REGISTERED,
    (ExtensionState.STARTED, ExtensionMove.LAUNCH_ERROR): ExtensionState.LAUNCH_ERROR,
    (ExtensionState.STARTED, ExtensionMove.EXIT): ExtensionState.EXITED,
    (ExtensionState.REGISTERED, ExtensionMove.NEXT): ExtensionState.READY,
    (ExtensionState.REGISTERED, ExtensionMove.INIT_ERROR): ExtensionState.INIT_ERROR,
    (ExtensionState.REGISTERED, ExtensionMove.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.REGISTERED, ExtensionMove.EXIT): ExtensionState.EXITED,
    (ExtensionState.READY, ExtensionMove.NEXT): ExtensionState.READY,
    (ExtensionState.READY, ExtensionMove.EVENT): ExtensionState.RUNNING,
    (ExtensionState.READY, ExtensionMove.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.READY, ExtensionMove.EXIT): ExtensionState.EXITED,
    (ExtensionState.RUNNING, ExtensionMove.NEXT): ExtensionState.READY,
    (ExtensionState.RUNNING, ExtensionMove.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.RUNNING, ExtensionMove.EXIT): ExtensionState.EXITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What an extension asks for in ``register``."""

    name: str
    events: tuple[ExtensionEvent, ...]


def requested_events(body: bytes) -> tuple[str, ...]:
    """The events that the body of ``register`` names, each once.

    Raises:
        RuntimeApiError: 403 ``InvalidRequestFormat``: not a JSON object, or not a list of strings.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise _invalid_format(str(wrong) if isinstance(wrong, ValueError) else "nested too deeply") from wrong
    if not isinstance(document, dict):
        raise _invalid_format("a register request is a JSON object")
    if document.get("configurationKeys"):
        raise _invalid_format("configurationKeys are deprecated; use environment variables instead")
    events = document.get("events")
    if events is None:
        return ()
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise _invalid_format("events is a list of strings")
    return tuple(dict.fromkeys(events))


def registration(name: str, body: bytes, *, is_external: bool, is_shared: bool = False) -> Registration:
    """What a ``register`` asks for, checked.

    Args:
        is_shared: several invocations run in the environment at a time, so there are no ``INVOKE`` events.

    Raises:
        RuntimeApiError: 403 ``InvalidRequestFormat`` or ``Extension.InvalidEventType``: internal extensions live in the
            runtime's process, which is not asked to shut down by an event.
    """
    events: list[ExtensionEvent] = []
    for event in requested_events(body):
        if event not in ExtensionEvent.__members__:
            raise RuntimeApiError(403, "Extension.InvalidEventType", f"{event}: invalid event type")
        refused_for = None
        if event == ExtensionEvent.SHUTDOWN and not is_external:
            refused_for = "internal extensions"
        elif event == ExtensionEvent.INVOKE and is_shared:
            refused_for = "environments that run several invocations at a time"
        if refused_for is not None:
            words = f"{event}: event not supported for {refused_for}"
            raise RuntimeApiError(403, "Extension.InvalidEventType", words)
        events.append(ExtensionEvent(event))
    return Registration(name=name, events=tuple(events))


def invoke_event(*, deadline_epoch_ms: int, request_id: str, function_arn: str, trace_header: str) -> bytes:
    """The body of an ``INVOKE`` event."""
    return _json(
        {
            "eventType": ExtensionEvent.INVOKE,
            "deadlineMs": deadline_epoch_ms,
            "requestId": request_id,
            "invokedFunctionArn": function_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": trace_header},
        }
    )


def shutdown_event(reason: ShutdownReason, *, deadline_epoch_ms: int) -> bytes:
    """The body of a ``SHUTDOWN`` event."""
    return _json(
        {"eventType": ExtensionEvent.SHUTDOWN, "shutdownReason": reason, "deadlineMs": deadline_epoch_ms},
    )


def extension_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """A function's variables as its external extensions get them: without what is the runtime's alone."""
    return {name: value for name, value in variables.items() if name not in _WITHHELD and not name.startswith("_")}


def withheld_variables(variables: Mapping[str, str]) -> list[str]:
    """The names that ``extension_variables`` leaves out of ``variables``."""
    kept = extension_variables(variables)
    return [name for name in variables if name not in kept]


def launch_error_type(words: str) -> str:
    """The error type in the log of an extension that could not be started because of ``words``."""
    return "PermissionDenied" if words.endswith("permission denied") else "UnknownError"


def events_as_logged(events: Sequence[str]) -> str:
    """``[INVOKE, SHUTDOWN]``."""
    return f"[{', '.join(events)}]"


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _invalid_format(words: str) -> RuntimeApiError:
    return RuntimeApiError(403, "InvalidRequestFormat", words)

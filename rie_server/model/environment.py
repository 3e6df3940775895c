"""Execution environments: what one is started with, how it ends, and which moves its runtime may make.

Pure. The table of moves follows AWS's Runtime API: Started, then Ready, Running and RuntimeResponseSentState in turn
(with InvocationResponse before the last one while a response is streamed); whatever is not in it is denied.
"""

import signal as signals
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from rie_server.model.function import FunctionVersion

# ``AWS_LAMBDA_INITIALIZATION_TYPE`` of an environment that somebody waits for.
ON_DEMAND: Final = "on-demand"
# Of one in which several invocations run at a time.
MANAGED_INSTANCES: Final = "lambda-managed-instances"


class RuntimeState(StrEnum):
    """Where the runtime of one environment stands; the values are the names AWS puts in its error messages."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    RESTORING = "Restoring"
    RESTORE_ERROR = "RuntimeRestoreErrorState"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"
    RESPONSE_SENT = "RuntimeResponseSentState"
    STOPPED = "Stopped"


class RuntimeMove(StrEnum):
    """What moves a runtime; the value is the state that AWS names as the target when it denies the move."""

    NEXT = "Ready"
    RESPONSE = "InvocationResponse"
    ERROR = "InvocationErrorResponse"
    INIT_ERROR = "InitError"
    RESTORE_NEXT = "RestoreReady"
    RESTORE_ERROR = "RuntimeRestoreErrorState"
    HAND_OVER = "Running"
    BEGIN_RESPONSE = "InvocationResponse, streamed"
    END_RESPONSE = "RuntimeResponseSentState"


# Nothing has been handed over yet: the environment comes up, or fails to.
INITIALIZING = frozenset(
    {RuntimeState.STARTED, RuntimeState.INIT_ERROR, RuntimeState.RESTORING, RuntimeState.RESTORE_ERROR}
)

# A repeated ``next`` is legal: a runtime whose connection broke asks again, and gets the same event while it runs.
LEGAL_MOVES: Mapping[tuple[RuntimeState, RuntimeMove], RuntimeState] = {
    (RuntimeState.STARTED, RuntimeMove.NEXT): RuntimeState.READY,
    (RuntimeState.STARTED, RuntimeMove.INIT_ERROR): RuntimeState.INIT_ERROR,
    (RuntimeState.STARTED, RuntimeMove.RESTORE_NEXT): RuntimeState.RESTORING,
    (RuntimeState.RESTORING, RuntimeMove.NEXT): RuntimeState.READY,
    (RuntimeState.RESTORING, RuntimeMove.RESTORE_ERROR): RuntimeState.RESTORE_ERROR,
    # A runtime without a word for it reports a failed restore as a failed initialization.
    (RuntimeState.RESTORING, RuntimeMove.INIT_ERROR): RuntimeState.RESTORE_ERROR,
    (RuntimeState.READY, RuntimeMove.NEXT): RuntimeState.READY,
    (RuntimeState.READY, RuntimeMove.HAND_OVER): RuntimeState.RUNNING,
    (RuntimeState.RUNNING, RuntimeMove.NEXT): RuntimeState.RUNNING,
    (RuntimeState.RUNNING, RuntimeMove.RESPONSE): RuntimeState.RESPONSE_SENT,
    (RuntimeState.RUNNING, RuntimeMove.ERROR): RuntimeState.RESPONSE_SENT,
    (RuntimeState.RUNNING, RuntimeMove.BEGIN_RESPONSE): RuntimeState.RESPONDING,
    (RuntimeState.RESPONDING, RuntimeMove.END_RESPONSE): RuntimeState.RESPONSE_SENT,
    (RuntimeState.RESPONSE_SENT, RuntimeMove.NEXT): RuntimeState.READY,
}

# From the hand-over until the runtime asks for more.
AT_WORK = frozenset((RuntimeState.RUNNING, RuntimeState.RESPONDING, RuntimeState.RESPONSE_SENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """Everything an executor needs to start one environment.

    Attributes:
        environment_id: unguessable, 32 hex digits; also the last part of the log stream's name.
        variables: the complete environment of the runtime process as AWS sets it, without ``AWS_LAMBDA_RUNTIME_API``,
            which only the executor knows, and without anything of the server's own.
    """

    environment_id: str
    function: FunctionVersion
    variables: Mapping[str, str]

    def with_endpoint(self, lambda_url: str | None) -> "EnvironmentSpec":
        """With ``AWS_ENDPOINT_URL_LAMBDA`` for a durable function that names none: its executions are here."""
        if self.function.durable is None or lambda_url is None or "AWS_ENDPOINT_URL_LAMBDA" in self.variables:
            return self
        return replace(self, variables={**self.variables, "AWS_ENDPOINT_URL_LAMBDA": lambda_url})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentExit:
    """How a process of an environment ended. Exactly one of ``status``, ``signal`` and ``launch_error`` is set.

    Attributes:
        launch_error: the process could not be started, in AWS's words: ``fork/exec PATH: permission denied``.
    """

    status: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    launch_error: str | None = None

    def describe(self) -> str:
        """AWS's words: ``exit status 1``, ``signal: killed``; empty for a clean exit."""
        if self.signal is not None:
            return f"signal: {_SIGNAL_WORDS.get(self.signal, str(self.signal))}"
        return f"exit status {self.status}" if self.status else ""


# Go's words for signals, as AWS prints them.
_SIGNAL_WORDS: Mapping[int, str] = {
    signals.SIGHUP: "hangup",
    signals.SIGINT: "interrupt",
    signals.SIGQUIT: "quit",
    signals.SIGILL: "illegal instruction",
    signals.SIGTRAP: "trace/breakpoint trap",
    signals.SIGABRT: "aborted",
    signals.SIGBUS: "bus error",
    signals.SIGFPE: "floating point exception",
    signals.SIGKILL: "killed",
    signals.SIGSEGV: "segmentation fault",
    signals.SIGPIPE: "broken pipe",
    signals.SIGALRM: "alarm clock",
    signals.SIGTERM: "terminated",
}

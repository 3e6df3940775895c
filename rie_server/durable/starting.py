"""Where durable executions begin: by an invocation that somebody waits for, or by an event.

Promises: what was acknowledged is durable; an execution of a name begins once. Never blocks. Thread-safe.
"""

from collections.abc import Callable

from rie_server.durable.runner import DurableRunner
from rie_server.durable.waiting import Waiters
from rie_server.enduring import DurableStore, StoredExecution
from rie_server.errors import (
    DurableExecutionAlreadyStartedException,
    InvalidParameterValueException,
    LambdaError,
    ServiceException,
)
from rie_server.limits import DURABLE_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES
from rie_server.model.durable_description import result_for_caller
from rie_server.model.durable_execution import DurableExecution, EventOrigin
from rie_server.model.durable_life import Beginning, begun, check_startable
from rie_server.model.durable_names import DurableArn
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.model.request_id import new_request_id
from rie_server.ports import Clock, EventQueue, FunctionCatalog, OnDurable

OnStarted = Callable[[DurableExecution | None, LambdaError | None], None]


class DurableStarts:
    def __init__(self, *, store: DurableStore, runner: DurableRunner, waiters: Waiters, clock: Clock) -> None:
        self._store = store
        self._runner = runner
        self._waiters = waiters
        self._clock = clock

    def execute(
        self, function: FunctionVersion, request: InvokeRequest, on_result: Callable[[InvokeResult], None]
    ) -> None:
        """Begins an execution, or joins the one of that name; ``on_result`` is called when it is over.

        Raises:
            InvalidParameterValueException: nobody may wait for such an execution.
        """

        def started(execution: DurableExecution | None, refusal: LambdaError | None) -> None:
            if execution is None:
                on_result(InvokeResult(payload=b"", function_error=None, executed_version="", refusal=refusal))
            elif execution.is_over:
                on_result(result_for_caller(execution))
            else:
                self._waiters.add(execution.arn.id, lambda ended: on_result(result_for_caller(ended)))

        self._begin(function, request, started, waits=True)

    def start(self, function: FunctionVersion, request: InvokeRequest, on_started: OnStarted) -> None:
        """Begins an execution that nobody waits for; ``on_started`` is called once it cannot be lost.

        Raises:
            InvalidParameterValueException: it cannot begin like this.
        """
        self._begin(function, request, on_started, waits=False)

    def _begin(self, function: FunctionVersion, request: InvokeRequest, on_started: OnStarted, *, waits: bool) -> None:
        config = function.durable
        if config is None:
            raise InvalidParameterValueException(f"The function {function.arn.name} is not a durable function.")
        check_startable(config, qualifier=request.function.qualifier, waits=waits)
        name = request.durable_execution_name or new_request_id()
        arn = DurableArn(function=function.arn.qualified(function.version), name=name, id=new_request_id())
        draft = begun(
            Beginning(
                arn=arn,
                config=config,
                trace_header=request.trace_header,
                tenant_id=request.tenant_id,
                origin=None
                if waits
                else EventOrigin(request_id=request.request_id, qualifier=request.function.qualifier),
                result_limit_bytes=SYNC_PAYLOAD_BYTES if waits else DURABLE_PAYLOAD_BYTES,
            ),
            now=self._clock.now(),
        )
        text = request.payload.decode("utf-8", "replace")

        def done(stored: StoredExecution | None, error: Exception | None) -> None:
            if stored is None:
                trouble = error if isinstance(error, LambdaError) else ServiceException("It could not be stored.")
                on_started(None, trouble)
                return
            execution = stored.execution
            if execution.arn.id != arn.id and not _is_same(stored, arn, text):
                refusal = f"Execution already started: {execution.arn}"
                on_started(None, DurableExecutionAlreadyStartedException(refusal))
                return
            on_started(execution, None)
            self._runner.wake_at(execution.started_at)

        self._store.add(draft, text, done)


class DurableEvents:
    """Fills ``ports.EventQueue``: an event for a durable function begins an execution, all others are queued."""

    def __init__(self, *, catalog: FunctionCatalog, starts: DurableStarts, queue: EventQueue) -> None:
        self._catalog = catalog
        self._starts = starts
        self._queue = queue

    def submit(self, request: InvokeRequest, on_durable: OnDurable) -> None:
        try:
            function = self._catalog.resolve(request.function)
        except LambdaError:
            # What cannot be run now waits in the queue, or ends there.
            self._queue.submit(request, on_durable)
            return
        if function.durable is None:
            self._queue.submit(request, on_durable)
        else:
            self._starts.start(function, request, lambda _, refusal: on_durable(refusal))


def _is_same(stored: StoredExecution, arn: DurableArn, payload: str) -> bool:
    """Whether what is there is what is asked for once more."""
    return stored.execution.arn.function == arn.function and stored.input_payload == payload

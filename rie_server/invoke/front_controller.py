"""Admits invocations: resolves the function, stops loops, holds concurrency, and hands over to the fleet.

This is the ``Invoker`` that everybody else holds, and the ``StreamingInvoker`` of those who stream. Thread-safe;
returns at once.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rie_server.errors import RecursiveInvocationException, TooManyRequestsException
from rie_server.invoke.concurrency import Concurrency
from rie_server.invoke.environments import Invocation
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.sampling import Sampling
from rie_server.invoke.trace_record import TraceRecord
from rie_server.model.arn import FunctionArn
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.model.recursion import first_hop, has_lineage, hop
from rie_server.model.tenancy import check_tenant
from rie_server.observing import InvocationObserver, Unobserved
from rie_server.ports import Clock, FunctionCatalog
from rie_server.streaming import ResponseSink

# What becomes of an invocation of a durable function: it has its result when the execution that it begins is over.
ExecuteDurably = Callable[[FunctionVersion, InvokeRequest, Callable[[InvokeResult], None]], None]


class FrontController:
    """
    Args:
        concurrency_limit: invocations at a time, of all functions together (AWS: 1000 in an account and region).

    Attributes:
        concurrency: to be told of reservations, and asked for what runs.
        execute_durably: begins an execution of a durable function; set by whoever carries them out.
    """

    def __init__(
        self,
        *,
        catalog: FunctionCatalog,
        fleet: Fleet,
        clock: Clock,
        concurrency_limit: int,
        observer: InvocationObserver | None = None,
    ) -> None:
        self.concurrency = Concurrency(concurrency_limit)
        self.execute_durably: ExecuteDurably
        self._catalog = catalog
        self._fleet = fleet
        self._clock = clock
        self._observer = observer or Unobserved()
        self._sampling = Sampling(clock)

    @property
    def running(self) -> int:
        """Invocations that were admitted and have no result yet."""
        return self.concurrency.running

    def invoke(
        self, request: InvokeRequest, on_result: Callable[[InvokeResult], None], sink: ResponseSink | None = None
    ) -> None:
        function = self._catalog.resolve(request.function)
        if function.tenant_isolated or request.tenant_id is not None:
            check_tenant(function, request.tenant_id)
        if function.durable is not None and not request.is_durable_invocation:
            self.execute_durably(function, request, on_result)
            return
        if function.max_concurrency is not None and request.want_log_tail:
            # Lines of several invocations come together: nobody can tell which are this one's.
            request = replace(request, want_log_tail=False)
        trace_header, segments = request.trace_header, None
        if function.is_traced:
            trace_header, segments = self._sampling.begin(trace_header, function.arn)
        trace_header = self._next_hop(trace_header, function.arn)
        concurrency = self.concurrency
        try:
            running = concurrency.enter(function.arn)
        except TooManyRequestsException:
            self._observer.invocation_throttled(request.function)
            raise

        def finish(result: InvokeResult) -> None:
            if isinstance(result.refusal, TooManyRequestsException):
                self._observer.invocation_throttled(request.function)
            on_result(result)

        leave = partial(concurrency.leave, running)
        # Nothing that it holds may lead back to it: cycles of this road would keep the collector busy.
        invocation = Invocation(
            request, function, trace_header, finish, self._clock.monotonic(), sink=sink, on_end=leave
        )
        if segments is not None:
            invocation.trace = TraceRecord(segments)
        self._fleet.submit(invocation)

    def drain(self, seconds: float) -> None:
        """Blocks until every admitted invocation has its result, or ``seconds`` have passed."""
        give_up_at = self._clock.monotonic() + seconds
        while self.concurrency.running and self._clock.monotonic() < give_up_at:
            self._clock.sleep(0.02)

    def _next_hop(self, trace_header: str, function: FunctionArn) -> str:
        """The trace header for the runtime: whatever the handler invokes carries this function in its lineage."""
        if not has_lineage(trace_header):
            return first_hop(trace_header, function)
        following = hop(trace_header, function)
        if following.is_loop and not self._catalog.allows_recursion(function):
            raise RecursiveInvocationException(
                "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services "
                "resources and stopped your function's invocation."
            )
        return following.trace_header

"""Who may run now: reserved concurrency for the functions that have it, the rest of the account for all others.

Promises: a function never has more than its reservation, the others together never more than what is left; what is
provisioned for a function is its own, whatever the others do, and it may have more of what is left; a change of
a reservation ends nothing that runs, which counts from then on where its function belongs. Constant time, one short
lock; only a change of a reservation looks at all functions. Fills the registry's ``Reservations``.
Thread-safe.
"""

import threading

from rie_server.errors import TooManyRequestsException, ZeroReservedConcurrencyException
from rie_server.model.arn import FunctionArn
from rie_server.model.concurrency_rules import unreserved


class RunningFunction:
    """How many invocations of one function run, and how many may when it has a reservation. Guarded by the lock.

    Attributes:
        provisioned: executions that are its own without a reservation; further ones come from what all share.
    """

    __slots__ = ("provisioned", "reserved", "running")

    def __init__(self) -> None:
        self.running = 0
        self.reserved: int | None = None
        self.provisioned = 0

    @property
    def shared(self) -> int:
        """Those that run at the expense of what all functions share."""
        return max(0, self.running - self.provisioned) if self.reserved is None else 0

    @property
    def held(self) -> int:
        """Executions that nobody else may use."""
        return self.provisioned if self.reserved is None else self.reserved


class Concurrency:
    """
    Args:
        limit: invocations at a time, of all functions together (AWS: 1000 in an account and region).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._functions: dict[FunctionArn, RunningFunction] = {}
        self._unreserved_limit = limit
        self._unreserved_running = 0
        self._running = 0

    @property
    def running(self) -> int:
        """Invocations that were admitted and have not left."""
        return self._running

    @property
    def unreserved_running(self) -> int:
        """Those of them that run neither by a reservation nor on what their function has provisioned."""
        return self._unreserved_running

    def running_of(self, function: FunctionArn) -> int:
        """Those of one function (by its unqualified ARN)."""
        known = self._functions.get(function)
        return 0 if known is None else known.running

    def running_by_function(self) -> dict[FunctionArn, int]:
        """Those of every function that has been invoked or has a reservation."""
        with self._lock:
            return {arn: function.running for arn, function in self._functions.items()}

    def enter(self, arn: FunctionArn) -> RunningFunction:
        """Admits one invocation of the function with this unqualified ARN; ``leave`` with what is returned.

        Raises:
            TooManyRequestsException: not now.
            ZeroReservedConcurrencyException: not before somebody changes the function.
        """
        with self._lock:
            function = self._functions.get(arn)
            if function is None:
                function = self._functions[arn] = RunningFunction()
            if function.reserved is None:
                if function.running >= function.provisioned:
                    if self._unreserved_running >= self._unreserved_limit:
                        raise TooManyRequestsException("ConcurrentInvocationLimitExceeded")
                    self._unreserved_running += 1
            elif function.running >= function.reserved:
                raise _beyond_reservation(function.reserved)
            function.running += 1
            self._running += 1
        return function

    def leave(self, function: RunningFunction) -> None:
        """Ends what ``enter`` admitted."""
        with self._lock:
            function.running -= 1
            self._running -= 1
            if function.reserved is None and function.running >= function.provisioned:
                self._unreserved_running -= 1

    def reserve(self, function: FunctionArn, executions: int | None) -> None:
        """See the registry's ``Reservations``."""
        with self._lock:
            known = self._functions.setdefault(function, RunningFunction())
            self._unreserved_running -= known.shared
            known.reserved = executions
            self._unreserved_running += known.shared
            self._divide()

    def provide(self, function: FunctionArn, executions: int) -> None:
        """Keeps ``executions`` for a function, provisioned ones, which may have more out of what all share."""
        with self._lock:
            if not executions and function not in self._functions:
                return
            known = self._functions.setdefault(function, RunningFunction())
            self._unreserved_running -= known.shared
            known.provisioned = executions
            self._unreserved_running += known.shared
            self._divide()

    def forget(self, function: FunctionArn) -> None:
        """See the registry's ``Reservations``. What still runs of it counts among the unreserved until it ends."""
        with self._lock:
            known = self._functions.pop(function, None)
            if known is not None and (known.reserved is not None or known.provisioned):
                self._unreserved_running -= known.shared
                known.reserved, known.provisioned = None, 0
                self._unreserved_running += known.shared
                self._divide()

    def _divide(self) -> None:
        self._unreserved_limit = unreserved(self._limit, (one.held for one in self._functions.values()))


def _beyond_reservation(reserved: int) -> TooManyRequestsException:
    if reserved == 0:
        return ZeroReservedConcurrencyException()
    return TooManyRequestsException("ReservedFunctionConcurrentInvocationLimitExceeded")

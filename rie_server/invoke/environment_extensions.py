"""The extensions of one execution environment, and what it waits for because of them.

Mutable records, not thread-safe by themselves: everything is read and written under the fleet's lock, except where it
says otherwise. An environment without extensions has none of this.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from rie_server.model.extension import (
    EXTERNAL_SHUTDOWN_SECONDS,
    INTERNAL_SHUTDOWN_SECONDS,
    LEGAL_MOVES,
    ExtensionEvent,
    ExtensionMove,
    ExtensionState,
    Registration,
    ShutdownReason,
    invoke_event,
    launch_error_type,
)
from rie_server.ports import EnvironmentLog

if TYPE_CHECKING:
    from rie_server.invoke.environments import Invocation, Poll


class ExtensionPoll(Protocol):
    """An extension that waits in ``event/next``."""

    def is_connected(self) -> bool:
        """Whether the extension still listens; asked at the moment of the hand-over."""

    def deliver(self, event: bytes) -> None: ...


Delivery = tuple[ExtensionPoll, bytes]


class Extension:
    """One extension.

    Attributes:
        identifier: what it calls with, once it has registered.
        error_type: what it has reported, or why it could not be launched.
        is_gone: its process has ended, whatever its state tells of it.
    """

    __slots__ = ("_event", "_poll", "error_type", "events", "identifier", "is_external", "is_gone", "name", "state")

    def __init__(self, name: str, *, is_external: bool) -> None:
        self.name = name
        self.is_external = is_external
        self.state = ExtensionState.STARTED
        self.identifier = ""
        self.events: tuple[ExtensionEvent, ...] = ()
        self.error_type: str | None = None
        self.is_gone = False
        self._poll: ExtensionPoll | None = None
        self._event: bytes | None = None

    def may(self, move: ExtensionMove) -> bool:
        return (self.state, move) in LEGAL_MOVES

    def move(self, move: ExtensionMove) -> None:
        """Raises KeyError for a move that the table does not have: ask ``may`` first."""
        self.state = LEGAL_MOVES[self.state, move]

    def ask(self, poll: ExtensionPoll) -> bytes | None:
        """The extension asks for its next event: one that it has missed, to be delivered at once, or None."""
        self.move(ExtensionMove.NEXT)
        event, self._event = self._event, None
        if event is None:
            self._poll = poll
        else:
            self.move(ExtensionMove.EVENT)
        return event

    def tell(self, event: bytes) -> Delivery | None:
        """Gives the extension an event: what to deliver without the lock, or None when it gets it as it asks again."""
        poll, self._poll = self._poll, None
        if self.state is ExtensionState.READY:
            self.move(ExtensionMove.EVENT)
            if poll is not None and poll.is_connected():
                return poll, event
        self._event = event
        return None


class Ending:
    """An invocation that its runtime has answered and that goes on until its extensions have finished.

    The caller has the answer at once, unless it wants the log, which is complete at the end. Thread-safe: the answer
    and the end may come from two threads in any order.
    """

    __slots__ = ("_answer", "_is_over", "_lock", "_tail", "failed", "invocation", "is_closed")

    def __init__(self, invocation: "Invocation") -> None:
        self.invocation = invocation
        self.failed = False
        self.is_closed = False
        self._lock = threading.Lock()
        self._answer: tuple[bytes, str | None] | None = None
        self._is_over = False
        self._tail = b""

    def answered(self, payload: bytes, error: str | None) -> None:
        """The runtime has answered; called once."""
        self.failed = error is not None
        invocation = self.invocation
        if not invocation.request.want_log_tail:
            invocation.lingers = True
            invocation.finish(payload, error)
        with self._lock:
            self._answer = payload, error
            is_over = self._is_over
        if is_over:
            self._leave(payload, error)

    def close(self) -> bool:
        """Claims the end; True for the first who does."""
        with self._lock:
            first, self.is_closed = not self.is_closed, True
        return first

    def end(self, tail: bytes) -> None:
        """The invocation is over; called once, by whoever has claimed it."""
        with self._lock:
            self._is_over, self._tail = True, tail
            answer = self._answer
        if answer is not None:
            self._leave(*answer)

    @property
    def is_done(self) -> bool:
        """Nobody has anything to do with it any more."""
        return self._is_over and self._answer is not None

    def _leave(self, payload: bytes, error: str | None) -> None:
        if self.invocation.request.want_log_tail:
            self.invocation.finish(payload, error, self._tail)
        else:
            self.invocation.end()


class EnvironmentExtensions:
    """All extensions of an environment.

    Attributes:
        fatal_type: the first error that an extension has reported; whatever ends the environment then has this type.
        held: the runtime's ``next`` while extensions still work.
        ending: the invocation that was answered last.
        is_runtime_due: external extensions must register before the runtime is started; it has not been.
        is_runtime_gone: the runtime's process has ended.
        reason: why the environment ends.
        shutdown_deadline: monotonic seconds; None while it does not.
        is_told: the extensions were told of the shutdown.
        is_over: nothing is waited for any more.
    """

    __slots__ = (
        "_deliveries",
        "by_name",
        "ending",
        "fatal_type",
        "held",
        "is_over",
        "is_runtime_due",
        "is_runtime_gone",
        "is_told",
        "reason",
        "shutdown_deadline",
    )

    def __init__(self) -> None:
        self.by_name: dict[str, Extension] = {}
        self.fatal_type: str | None = None
        self.held: Poll | None = None
        self.ending: Ending | None = None
        self.is_runtime_due = False
        self.is_runtime_gone = False
        self.reason = ShutdownReason.SPINDOWN
        self.shutdown_deadline: float | None = None
        self.is_told = False
        self.is_over = False
        self._deliveries: deque[Delivery] = deque()

    def expect(self, names: Iterable[str]) -> None:
        """External extensions are about to be started; the runtime follows when all have registered."""
        for name in names:
            self.by_name[name] = Extension(name, is_external=True)
            self.is_runtime_due = True

    def find(self, identifier: str) -> Extension | None:
        """The registered extension that calls with ``identifier``."""
        return next((one for one in self.by_name.values() if one.identifier == identifier), None)

    def register(self, registration: Registration) -> Extension:
        """An extension registers; one that is not known yet is internal."""
        extension = self.by_name.get(registration.name)
        if extension is None:
            extension = self.by_name[registration.name] = Extension(registration.name, is_external=False)
        extension.move(ExtensionMove.REGISTER)
        extension.identifier = str(uuid4())
        extension.events = registration.events
        return extension

    @property
    def is_everybody_registered(self) -> bool:
        return all(one.state is not ExtensionState.STARTED for one in self.by_name.values())

    @property
    def is_everybody_ready(self) -> bool:
        return all(one.state is ExtensionState.READY for one in self.by_name.values())

    @property
    def shutdown_seconds(self) -> float:
        """The budget that AWS gives an environment to end."""
        has_external = any(one.is_external for one in self.by_name.values())
        return EXTERNAL_SHUTDOWN_SECONDS if has_external else INTERNAL_SHUTDOWN_SECONDS

    @property
    def waited_for(self) -> list[Extension]:
        """Those that may end by themselves after ``SHUTDOWN``, and have not."""
        return [
            one
            for one in self.by_name.values()
            if one.is_external and ExtensionEvent.SHUTDOWN in one.events and not one.is_gone
        ]

    def exited(self, name: str, launch_error: str | None) -> None:
        """The process of an external extension has ended, or could not be launched."""
        extension = self.by_name.get(name)
        if extension is None:
            return
        move = ExtensionMove.EXIT if launch_error is None else ExtensionMove.LAUNCH_ERROR
        if extension.may(move):
            extension.move(move)
            if launch_error is not None:
                extension.error_type = launch_error_type(launch_error)
        extension.is_gone = True

    def forget_ending(self) -> None:
        """An idle environment does not keep the payloads of its last invocation."""
        if self.ending is not None and self.ending.is_done:
            self.ending = None

    def write_to(self, log: EnvironmentLog) -> None:
        """At the end of initialization: a line for every extension."""
        for one in tuple(self.by_name.values()):
            log.extension(one.name, one.state, one.events, one.error_type)

    # --- events -------------------------------------------------------------------------------------------------------

    def invoke(self, invocation: "Invocation") -> None:
        """An invocation begins: ``deliver`` follows without the lock."""
        wanting = [one for one in self.by_name.values() if ExtensionEvent.INVOKE in one.events]
        if wanting:
            request = invocation.request
            event = invoke_event(
                deadline_epoch_ms=invocation.deadline_epoch_ms,
                request_id=request.request_id,
                function_arn=str(request.function),
                trace_header=invocation.trace_header,
            )
            self._tell(wanting, event)

    def shut_down(self, event: bytes) -> None:
        """The environment ends: ``deliver`` follows without the lock."""
        self.is_told = True
        self._tell(self.waited_for, event)

    def deliver(self) -> None:
        """Without the lock: hands over what was decided under it."""
        # Two threads may be here at once, when an environment ends in the moment of a hand-over.
        with contextlib.suppress(IndexError):
            while True:
                poll, event = self._deliveries.popleft()
                poll.deliver(event)

    def _tell(self, extensions: Iterable[Extension], event: bytes) -> None:
        self._deliveries += (delivery for one in extensions if (delivery := one.tell(event)) is not None)

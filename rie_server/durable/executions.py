"""The control plane of durable executions: what the API asks and changes.

Thread-safe; every method may block for the store. An execution is found by its whole ARN, in its own region.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rie_server.durable.runner import DurableRunner
from rie_server.durable.targets import chained_targets
from rie_server.enduring import DurableStore, ExecutionQuery, StatePage, StoredExecution
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.limits import DURABLE_EVENT_BYTES
from rie_server.model import durable_callbacks as callbacks
from rie_server.model.durable_checkpoint import CheckpointAnswer, answered_again, check_token, checkpoint
from rie_server.model.durable_checks import Update, check_count
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution, ErrorObject
from rie_server.model.durable_life import stop
from rie_server.model.durable_names import DurableArn, parse_callback_id
from rie_server.model.durable_pauses import check_deletable, pause, resume
from rie_server.ports import Clock, FunctionCatalog

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRequest:
    """CheckpointDurableExecution as it came."""

    arn: DurableArn
    token: str
    updates: Sequence[Update]
    client_token: str | None


class DurableExecutions:
    def __init__(self, *, store: DurableStore, runner: DurableRunner, catalog: FunctionCatalog, clock: Clock) -> None:
        self._store = store
        self._runner = runner
        self._catalog = catalog
        self._clock = clock

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, arn: DurableArn) -> StoredExecution:
        """
        Raises:
            ResourceNotFoundException: there is no such execution, or not any more.
        """
        stored = self._store.load(arn.id)
        if stored is None or stored.execution.arn != arn or stored.execution.is_plain:
            raise _not_found()
        return stored

    def list(self, query: ExecutionQuery) -> Sequence[DurableExecution]:
        return self._store.list(query)

    def history(
        self, arn: DurableArn, *, after: int | None, most: int, newest_first: bool
    ) -> Sequence[Mapping[str, Any]]:
        """Events behind number ``after``; the caller has seen that the execution is there."""
        return self._store.history(arn.id, after=after, most=most, newest_first=newest_first)

    def state(self, arn: DurableArn, token: str, *, after: int, most: int) -> tuple[StoredExecution, StatePage]:
        """What a replay needs.

        Raises:
            InvalidParameterValueException: the token is not that of the running invocation.
        """
        stored = self._store.load(arn.id)
        draft = None if stored is None or stored.execution.arn != arn else DurableDraft(stored.execution)
        check_token(draft, token, arn.id)
        if stored is None:
            raise InvalidParameterValueException("Invalid checkpoint token")
        return stored, self._store.state(arn.id, after=after, most=most, most_bytes=DURABLE_EVENT_BYTES)

    # --- the function's own -------------------------------------------------------------------------------------------

    def checkpoint(self, request: CheckpointRequest) -> tuple[StoredExecution, CheckpointAnswer]:
        """
        Raises:
            InvalidParameterValueException: the token is not the current one, or an update is not allowed.
        """
        check_count(request.updates)
        targets = chained_targets(self._catalog, request.arn.function, request.updates)
        wanted = {name for one in request.updates for name in (one["Id"], one.get("ParentId")) if name is not None}

        def rule(draft: DurableDraft | None) -> CheckpointAnswer:
            if draft is not None and draft.execution.arn != request.arn:
                draft = None
            again = None if draft is None else answered_again(draft, request.token, request.client_token)
            if again is not None:
                return again
            return checkpoint(
                check_token(draft, request.token, request.arn.id),
                request.updates,
                client_token=request.client_token,
                targets=targets,
                now=self._clock.now(),
            )

        changed = self._store.change(request.arn.id, rule, wanted=wanted)
        self._runner.heard(changed)
        answer = changed.value
        has_itself = any(operation.id == request.arn.id for operation in answer.operations)
        stored = self._store.load(request.arn.id) if has_itself else None
        if stored is None and changed.execution is not None:
            stored = StoredExecution(execution=changed.execution, input_payload="")
        if stored is None:
            raise _not_found()
        return stored, answer

    # --- anybody's ----------------------------------------------------------------------------------------------------

    def stop(self, arn: DurableArn, error: ErrorObject | None) -> DurableExecution:
        """Ends an execution; one that is over stays as it is."""
        return self._change(arn, lambda draft: stop(draft, error, now=self._clock.now()))

    def pause(self, arn: DurableArn, *, reason: str | None, stops_timeout: bool, client_token: str | None) -> None:
        """
        Raises:
            ResourceConflictException: it does not run.
        """
        self._change(
            arn,
            lambda draft: pause(
                draft, reason=reason, stops_timeout=stops_timeout, client_token=client_token, now=self._clock.now()
            ),
        )

    def resume(self, arn: DurableArn, *, reason: str | None, client_token: str | None) -> None:
        """
        Raises:
            ResourceConflictException: it is not paused.
        """
        self._change(arn, lambda draft: resume(draft, reason=reason, client_token=client_token, now=self._clock.now()))

    def delete(self, arn: DurableArn) -> float:
        """Forgets an execution that is over; returns when.

        Raises:
            ResourceConflictException: it is not over.
        """
        self._change(arn, check_deletable)
        self._store.delete(arn.id)
        return self._clock.now()

    def succeed_callback(self, name: str, result: str | None, *, region: str, account: str) -> None:
        self._call_back(
            name, (region, account), lambda draft, one: callbacks.succeed(draft, one, result, now=self._clock.now())
        )

    def fail_callback(self, name: str, error: ErrorObject | None, *, region: str, account: str) -> None:
        self._call_back(
            name, (region, account), lambda draft, one: callbacks.fail(draft, one, error, now=self._clock.now())
        )

    def beat_callback(self, name: str, *, region: str, account: str) -> None:
        self._call_back(name, (region, account), lambda draft, one: callbacks.beat(draft, one, now=self._clock.now()))

    def _change(self, arn: DurableArn, rule: Callable[[DurableDraft], None]) -> DurableExecution:
        def checked(draft: DurableDraft | None) -> None:
            if draft is None or draft.execution.arn != arn or draft.execution.is_plain:
                raise _not_found()
            rule(draft)

        changed = self._store.change(arn.id, checked)
        self._runner.heard(changed)
        if changed.execution is None:
            raise _not_found()
        return changed.execution

    def _call_back(self, name: str, scope: tuple[str, str], rule: Callable[[DurableDraft | None, str], None]) -> None:
        """A callback of another account or region is one that nobody here waits for.

        Raises:
            InvalidParameterValueException: it is no callback's id.
            CallbackTimeoutException: nobody waits for it any more.
        """
        parsed = parse_callback_id(name)
        if parsed is None:
            raise InvalidParameterValueException("Invalid callback id")
        execution_id, operation_id = parsed

        def scoped(draft: DurableDraft | None) -> None:
            function = None if draft is None else draft.execution.arn.function
            is_here = function is not None and (function.region, function.account) == scope
            rule(draft if is_here else None, operation_id)

        self._runner.heard(self._store.change(execution_id, scoped, wanted=(operation_id,)))


def _not_found() -> ResourceNotFoundException:
    return ResourceNotFoundException("Durable Execution does not exist")

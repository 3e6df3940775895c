"""What a checkpoint may say: one table of legal moves of operations, and the other refusals, in AWS's words.

Pure. Updates have the API's member names and have passed the service model's constraints.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import DURABLE_OPERATIONS, DURABLE_PAYLOAD_BYTES
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableOperation, OperationStatus, OperationType

Update = Mapping[str, Any]

_STARTED, _READY = OperationStatus.STARTED, OperationStatus.READY
_TOO_MANY: Final = f"Durable execution operation count must be less than or equal to {DURABLE_OPERATIONS}."
_NEW: Final = frozenset({None})
_STEP_OPEN: Final = frozenset({None, _STARTED, _READY})
_CONTEXT_OPEN: Final = frozenset({None, _STARTED})

# By type and action: the statuses an operation may have (None: there is no such operation yet), and the refusal.
LEGAL_MOVES: Mapping[tuple[OperationType, str], tuple[frozenset[OperationStatus | None], str]] = {
    (OperationType.STEP, "START"): (frozenset({None, _READY}), "Invalid current STEP state to start."),
    (OperationType.STEP, "SUCCEED"): (_STEP_OPEN, "Invalid current STEP state to close."),
    (OperationType.STEP, "FAIL"): (_STEP_OPEN, "Invalid current STEP state to close."),
    (OperationType.STEP, "RETRY"): (_STEP_OPEN, "Invalid current STEP state to re-attempt."),
    (OperationType.CONTEXT, "START"): (_NEW, "Cannot start a CONTEXT that already exist."),
    (OperationType.CONTEXT, "SUCCEED"): (_CONTEXT_OPEN, "Invalid current CONTEXT state to close."),
    (OperationType.CONTEXT, "FAIL"): (_CONTEXT_OPEN, "Invalid current CONTEXT state to close."),
    (OperationType.WAIT, "START"): (_NEW, "Cannot start a WAIT that already exist."),
    (OperationType.WAIT, "CANCEL"): (
        frozenset({_STARTED}),
        "Cannot cancel a WAIT that does not exist or has already completed.",
    ),
    (OperationType.CALLBACK, "START"): (_NEW, "Cannot start a CALLBACK that already exist."),
    (OperationType.CHAINED_INVOKE, "START"): (_NEW, "Cannot start a CHAINED_INVOKE operation that already exists."),
    (OperationType.EXECUTION, "SUCCEED"): (_NEW, "Invalid EXECUTION action."),
    (OperationType.EXECUTION, "FAIL"): (_NEW, "Invalid EXECUTION action."),
}


def check_count(updates: Sequence[Update]) -> None:
    """Before anything is looked up for them: each operation begins and goes on at most.

    Raises:
        InvalidParameterValueException: more than an execution may have.
    """
    if len(updates) > 2 * DURABLE_OPERATIONS:
        raise InvalidParameterValueException(_TOO_MANY)


def check_batch(draft: DurableDraft, updates: Sequence[Update]) -> None:
    """What concerns the updates of one checkpoint together.

    Raises:
        InvalidParameterValueException: the end of the execution among others, one operation twice, no such parent, too
            many operations.
    """
    endings = [update for update in updates if update["Type"] == OperationType.EXECUTION]
    if len(endings) > 1:
        raise InvalidParameterValueException("Cannot checkpoint multiple EXECUTION updates.")
    if endings and updates[-1]["Type"] != OperationType.EXECUTION:
        raise InvalidParameterValueException("EXECUTION checkpoint must be the last update.")
    last: dict[str, Update] = {}
    for update in updates:
        earlier = last.get(update["Id"])
        if earlier is not None and not _may_follow(earlier, update):
            raise InvalidParameterValueException("Cannot checkpoint multiple operations with the same ID.")
        if not _has_parent(draft, last, update):
            raise InvalidParameterValueException("Invalid parent operation id.")
        last[update["Id"]] = update
    new = sum(one not in draft.operations for one in last)
    if draft.execution.operations + new > DURABLE_OPERATIONS:
        raise InvalidParameterValueException(_TOO_MANY)


def check_update(operation: DurableOperation | None, update: Update, *, result_limit_bytes: int) -> None:
    """One update, to the operation as it stands when its turn comes.

    Raises:
        InvalidParameterValueException: AWS's words.
    """
    if operation is not None:
        _check_same(operation, update)
    _check_sizes(update, result_limit_bytes)
    move = LEGAL_MOVES.get((OperationType(update["Type"]), update["Action"]))
    if move is None:
        raise InvalidParameterValueException("Invalid action for the given operation type.")
    statuses, refusal = move
    if (None if operation is None else operation.status) not in statuses:
        raise InvalidParameterValueException(refusal)
    _check_content(update)


def _may_follow(earlier: Update, update: Update) -> bool:
    """A step or a context may begin and go on in one checkpoint."""
    splits = earlier["Type"] in {OperationType.STEP, OperationType.CONTEXT}
    return splits and earlier["Action"] == "START" and update["Action"] != "START"


def _has_parent(draft: DurableDraft, earlier: Mapping[str, Update], update: Update) -> bool:
    parent = update.get("ParentId")
    if parent is None:
        return True
    if parent in earlier:
        return bool(earlier[parent]["Type"] == OperationType.CONTEXT)
    operation = draft.operations.get(parent)
    return operation is not None and operation.type is OperationType.CONTEXT


def _check_same(operation: DurableOperation, update: Update) -> None:
    told = (
        (update["Type"], operation.type, "Inconsistent operation type."),
        (update.get("SubType"), operation.sub_type, "Inconsistent operation subtype."),
        (update.get("Name"), operation.name, "Inconsistent operation name."),
        (update.get("ParentId"), operation.parent_id, "Inconsistent parent operation id."),
    )
    for given, present, refusal in told:
        if given is not None and given != present:
            raise InvalidParameterValueException(refusal)


def _check_sizes(update: Update, result_limit_bytes: int) -> None:
    error = update.get("Error")
    if error is not None and len(json.dumps(error).encode()) > DURABLE_PAYLOAD_BYTES:
        raise InvalidParameterValueException(f"Error object size must be less than {DURABLE_PAYLOAD_BYTES} bytes.")
    given = update.get("Payload")
    ends = update["Type"] == OperationType.EXECUTION
    most = result_limit_bytes if ends else DURABLE_PAYLOAD_BYTES
    if given is None or len(given) * 4 <= most or len(given.encode()) <= most:
        return
    way = "input" if update["Type"] == OperationType.CHAINED_INVOKE else "output"
    raise InvalidParameterValueException(
        f"{'Execution' if ends else update['Type']} {way} payload size must be less than or equal to {most} bytes."
    )


def _check_content(update: Update) -> None:
    kind, action = update["Type"], update["Action"]
    if action == "FAIL" and update.get("Payload") is not None:
        raise InvalidParameterValueException("Cannot provide a Payload for FAIL action.")
    if action == "SUCCEED" and update.get("Error") is not None:
        raise InvalidParameterValueException("Cannot provide an Error for SUCCEED action.")
    if action == "RETRY":
        if update.get("StepOptions", {}).get("NextAttemptDelaySeconds") is None:
            raise InvalidParameterValueException("Invalid StepOptions for the given action.")
        if update.get("Error") is not None and update.get("Payload") is not None:
            raise InvalidParameterValueException("Cannot provide both error and payload to RETRY a STEP.")
    if (kind, action) == (OperationType.WAIT, "START") and update.get("WaitOptions", {}).get("WaitSeconds") is None:
        raise InvalidParameterValueException("Invalid WaitOptions for the given action.")
    if kind == OperationType.CHAINED_INVOKE and "ChainedInvokeOptions" not in update:
        raise InvalidParameterValueException("Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.")

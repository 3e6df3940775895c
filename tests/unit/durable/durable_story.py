"""What the tests of this folder share: an execution whose function runs, and checkpoints of it in one line each."""

from collections.abc import Mapping
from typing import Any

from rie_server.model.arn import FunctionArn
from rie_server.model.durable_checkpoint import CheckpointAnswer, checkpoint
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableOperation
from rie_server.model.durable_life import Beginning, NextRun, begun, wake
from rie_server.model.durable_names import DurableArn
from rie_server.model.durable_updates import ChainedTarget

NOW = 1_767_225_600.0
FLOW = FunctionArn(region="us-east-1", account="123456789012", name="flow", qualifier="1")
EXECUTION = "00000000-0000-4000-8000-000000000001"
INVOCATION = "00000000-0000-4000-8000-00000000000a"


def beginning(**members: Any) -> Beginning:
    known: dict[str, Any] = {
        "arn": DurableArn(function=FLOW, name="monday", id=EXECUTION),
        "config": DurableConfig(execution_timeout_seconds=600),
        "trace_header": "Root=1-2-3",
    }
    return Beginning(**{**known, **members})


def running(**members: Any) -> DurableDraft:
    """An execution whose first invocation has just begun."""
    draft = begun(beginning(**members), now=NOW)
    assert run(draft) is not None
    return settled(draft)


def run(draft: DurableDraft, *, at: float = NOW, invocation: str = INVOCATION) -> NextRun | None:
    return wake(draft, invocation_id=invocation, owner="server/1", now=at)


def settled(draft: DurableDraft) -> DurableDraft:
    """The draft of the next change, with every operation."""
    return DurableDraft(draft.execution, draft.operations)


def save(
    draft: DurableDraft,
    *updates: Mapping[str, Any],
    at: float = NOW,
    client_token: str | None = None,
    targets: Mapping[str, ChainedTarget] | None = None,
) -> CheckpointAnswer:
    return checkpoint(draft, updates, client_token=client_token, targets=targets or {}, now=at)


def update(kind: str, action: str, name: str = "one", **members: Any) -> dict[str, Any]:
    """An update; ``seconds`` for whatever option its kind has."""
    options: dict[str, Any] = {}
    if kind == "WAIT" and action == "START":
        options["WaitOptions"] = {"WaitSeconds": members.pop("seconds", 60)}
    if kind == "STEP" and action == "RETRY":
        options["StepOptions"] = {"NextAttemptDelaySeconds": members.pop("seconds", 5)}
    if kind == "CHAINED_INVOKE":
        options["ChainedInvokeOptions"] = {"FunctionName": members.pop("function", "price")}
    return {"Id": name, "Type": kind, "Action": action, **options, **members}


def only(draft: DurableDraft, name: str = "one") -> DurableOperation:
    return draft.operations[name]


def event_types(draft: DurableDraft) -> list[str]:
    return [event["EventType"] for event in draft.events]

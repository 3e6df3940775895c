"""What makes a function durable: ``DurableConfig``, with AWS's defaults and refusals.

Pure. A function is durable from its creation on or never; how long its executions may take can be changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import DURABLE_RETENTION_DAYS_DEFAULT, TIMEOUT_SECONDS_MAXIMUM


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableConfig:
    """
    Attributes:
        execution_timeout_seconds: for a whole execution, waiting included.
        retention_days: how long an execution that has ended can be looked at.
        kms_key_arn: stored and shown; nothing is encrypted with it.
    """

    execution_timeout_seconds: int
    retention_days: int = DURABLE_RETENTION_DAYS_DEFAULT
    kms_key_arn: str | None = None


def durable_config(configuration: Mapping[str, Any]) -> DurableConfig | None:
    """The config of a function's stored configuration; None where the function is not durable."""
    members = configuration.get("DurableConfig")
    if not members:
        return None
    return DurableConfig(
        execution_timeout_seconds=members["ExecutionTimeout"],
        retention_days=members["RetentionPeriodInDays"],
        kms_key_arn=members.get("KMSKeyArn"),
    )


def described_config(config: DurableConfig) -> dict[str, Any]:
    """``DurableConfig`` as the API has it."""
    key = {"KMSKeyArn": config.kms_key_arn} if config.kms_key_arn else {}
    return {
        "ExecutionTimeout": config.execution_timeout_seconds,
        "RetentionPeriodInDays": config.retention_days,
        **key,
    }


def created_config(members: Mapping[str, Any]) -> dict[str, Any]:
    """``DurableConfig`` of a new function, with its defaults.

    Raises:
        InvalidParameterValueException: it does not say how long an execution may take.
    """
    if "ExecutionTimeout" not in members:
        raise InvalidParameterValueException(
            "You cannot create a function with a durable configuration without an executionTimeout"
        )
    return {"RetentionPeriodInDays": DURABLE_RETENTION_DAYS_DEFAULT, **members}


def durable_defaults(function_name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that differ in a durable function: ``Timeout`` covers what an invocation may do between two waits, and
    logs are JSON, in which an execution's lines are found.
    """
    logs = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    return {
        "Timeout": min(TIMEOUT_SECONDS_MAXIMUM, members["ExecutionTimeout"]),
        "LoggingConfig": {**logs, "LogGroup": f"/aws/lambda/{function_name}"},
    }


def changed_config(current: Mapping[str, Any] | None, members: Mapping[str, Any]) -> dict[str, Any]:
    """``DurableConfig`` after an update; what is not mentioned stays.

    Raises:
        InvalidParameterValueException: the function is not durable.
    """
    if not current:
        raise InvalidParameterValueException(
            "You cannot add a durable configuration to a function that was originally created with no durable "
            "configuration"
        )
    return {**current, **members}

"""What an ARN in a DestinationConfig or a DeadLetterConfig points at, and whether AWS allows it there.

Pure. ``destination_target`` serves who delivers, ``check_destinations`` and ``check_dead_letter`` serve who configures;
these speak in AWS's words. Whether a queue or a bucket exists is found out at delivery, a function's existence at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn


class DestinationKind(StrEnum):
    """The service of a target, as ARNs spell it."""

    SQS = "sqs"
    SNS = "sns"
    EVENTBRIDGE = "events"
    LAMBDA = "lambda"
    S3 = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTarget:
    """
    Attributes:
        region: empty for a bucket.
        name: of the queue, topic, bus, function (without its qualifier) or bucket.
        function: set where the target is a function, with the qualifier that the ARN has.
    """

    kind: DestinationKind
    arn: str
    region: str
    account: str
    name: str
    function: FunctionArn | None = None

    @property
    def is_fifo(self) -> bool:
        return self.kind in _MESSAGES and self.name.endswith(".fifo")


_MESSAGES = frozenset({DestinationKind.SQS, DestinationKind.SNS})
_ARN = re.compile(
    r"arn:aws[a-zA-Z0-9-]*:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>(?:\d{12})?):(?P<resource>.+)"
)
_RESOURCES = {
    DestinationKind.SQS: re.compile(r"(?P<name>[a-zA-Z0-9_-]{1,80}|[a-zA-Z0-9_-]{1,75}\.fifo)"),
    DestinationKind.SNS: re.compile(r"(?P<name>[a-zA-Z0-9_-]{1,256}|[a-zA-Z0-9_-]{1,251}\.fifo)"),
    DestinationKind.EVENTBRIDGE: re.compile(r"event-bus/(?P<name>[/.\-_A-Za-z0-9]{1,256})"),
    DestinationKind.LAMBDA: re.compile(
        r"function:(?P<name>[a-zA-Z0-9-_]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
    ),
    DestinationKind.S3: re.compile(r"(?P<name>[a-z0-9.-]{3,63})"),
}


def destination_kind(arn: str) -> DestinationKind | None:
    """The service that ``arn`` names; None where it is none that takes records."""
    match = _ARN.fullmatch(arn)
    if match is None or match["service"] not in list(DestinationKind):
        return None
    return DestinationKind(match["service"])


def destination_target(arn: str) -> DestinationTarget | None:
    """What ``arn`` points at; None unless that is a queue, a topic, a bus, a function or a bucket."""
    kind, match = destination_kind(arn), _ARN.fullmatch(arn)
    if kind is None or match is None:
        return None
    resource = _RESOURCES[kind].fullmatch(match["resource"])
    is_global = kind is DestinationKind.S3
    if resource is None or (match["region"] == "") != is_global or (match["account"] == "") != is_global:
        return None
    return DestinationTarget(
        kind=kind,
        arn=arn,
        region=match["region"],
        account=match["account"],
        name=resource["name"],
        function=None
        if kind is not DestinationKind.LAMBDA
        else FunctionArn(
            region=match["region"],
            account=match["account"],
            name=resource["name"],
            qualifier=resource["qualifier"],
        ),
    )


def check_destinations(
    function: FunctionArn,
    *,
    on_success: str | None,
    on_failure: str | None,
    function_exists: Callable[[FunctionArn], bool],
) -> None:
    """Whether ``function`` may have these destinations; None and an empty text are no destination.

    Args:
        function_exists: for a destination that is a function, asked with the qualifier of its ARN.

    Raises:
        InvalidParameterValueException: in AWS's words.
    """
    for arn in filter(None, (on_failure, on_success)):
        _check_destination(function, arn, function_exists)
    kinds = {destination_kind(arn) for arn in (on_failure, on_success) if arn}
    if None in kinds or (on_success and destination_kind(on_success) is DestinationKind.S3):
        success = f"OnSuccess(destination={on_success})" if on_success else "null"
        failure = f"OnFailure(destination={on_failure})" if on_failure else "null"
        raise InvalidParameterValueException(
            f"The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
        )


def _check_destination(function: FunctionArn, arn: str, function_exists: Callable[[FunctionArn], bool]) -> None:
    if destination_kind(arn) is None:
        return  # AWS refuses the config as a whole
    invalid = InvalidParameterValueException(f"The destination ARN {arn} is invalid.")
    target = destination_target(arn)
    if target is None:
        raise invalid
    if target.is_fifo and target.kind is DestinationKind.SNS:
        raise InvalidParameterValueException("FIFO-type Amazon SNS topics aren't supported as a destination.")
    if target.is_fifo:
        raise invalid
    if target.function is not None and target.function.unqualified == function.unqualified:
        raise InvalidParameterValueException("You can't specify the function as a destination for itself.")
    if target.function is not None and not function_exists(target.function):
        raise invalid


def check_dead_letter(function: FunctionArn, target_arn: str | None) -> None:
    """Whether ``target_arn`` may be the TargetArn of the DeadLetterConfig of ``function``; empty means none.

    Raises:
        InvalidParameterValueException: in AWS's words.
    """
    if not target_arn:
        return
    kind, target = destination_kind(target_arn), destination_target(target_arn)
    if kind not in _MESSAGES or target is None:
        raise _dead_letter("The service specified by the TargetArn is not supported for dead letter configuration.")
    if target.region != function.region:
        raise _dead_letter(
            "The resource specified by the TargetArn must be in the same region as the Lambda function it's "
            "associated with."
        )
    if target.is_fifo:
        noun = "SQS queue" if kind is DestinationKind.SQS else "SNS topic"
        raise _dead_letter(f"FIFO {noun} is not supported for dead letter configuration")


def _dead_letter(reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Invalid dead letter queue ARN: {reason}")

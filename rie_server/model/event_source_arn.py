"""What an event source mapping polls, by its ARN or by SelfManagedEventSource.

Pure.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.event_source import SourceKind

_RESOURCES: Final = (
    (SourceKind.SQS, "sqs", re.compile(r"[a-zA-Z0-9_-]+(\.fifo)?")),
    (SourceKind.KINESIS, "kinesis", re.compile(r"stream/[a-zA-Z0-9_.-]+(/consumer/[a-zA-Z0-9_.-]+:\d+)?")),
    (SourceKind.DYNAMODB, "dynamodb", re.compile(r"table/[a-zA-Z0-9_.-]+/stream/.+")),
    (SourceKind.MSK, "kafka", re.compile(r"cluster/.+")),
    (SourceKind.MQ, "mq", re.compile(r"broker:.+")),
    (SourceKind.DOCUMENTDB, "rds", re.compile(r"cluster:.+")),
)


def source_kind(members: Mapping[str, Any]) -> SourceKind:
    """The kind of source that the members of CreateEventSourceMapping name.

    Raises:
        InvalidParameterValueException: none, two, or one that Lambda does not poll.
    """
    arn = members.get("EventSourceArn")
    if members.get("SelfManagedEventSource") is not None:
        if arn:
            raise InvalidParameterValueException(
                "SelfManagedEventSource and EventSourceArn are mutually exclusive. Please specify only one of them."
            )
        return SourceKind.SELF_MANAGED_KAFKA
    if not arn:
        raise InvalidParameterValueException("Unrecognized event source.")
    kind = kind_of_arn(arn)
    if kind is None:
        raise InvalidParameterValueException(f"Unrecognized event source. Unsupported source arn : {arn}")
    return kind


def kind_of_arn(arn: str) -> SourceKind | None:
    """None where Lambda polls nothing of the kind."""
    _, _, service, _, _, resource = arn.split(":", 5)
    for kind, name, pattern in _RESOURCES:
        if service == name and pattern.fullmatch(resource):
            return kind
    return None


def is_fifo(source_arn: str | None) -> bool:
    return source_arn is not None and ":sqs:" in source_arn and source_arn.endswith(".fifo")

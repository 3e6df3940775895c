"""One record on its way to one target: a destination's or a dead-letter queue's.

Pure data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rie_server.model.arn import FunctionArn


class DeliveryKind(StrEnum):
    ON_SUCCESS = "OnSuccess"
    ON_FAILURE = "OnFailure"
    DEAD_LETTER = "DeadLetter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    Attributes:
        function: qualified, as in the record.
        body: the record, or for a dead letter the original event.
        attributes: message attributes of a dead letter (name -> (type, value)); empty for destinations.
        trace_header: goes along as AWSTraceHeader where the target can carry it.
        at: when the event ended, seconds since the epoch; S3 keys are made from it.
        object_key: the S3 object's key where it is another than an asynchronous event's.
    """

    kind: DeliveryKind
    target_arn: str
    request_id: str
    function: FunctionArn
    body: bytes
    trace_header: str
    at: float
    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    object_key: str | None = None

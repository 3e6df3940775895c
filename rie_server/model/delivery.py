"""One record on its way to one target: a destination's or a dead-letter queue's.

Pure data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rie_server.model.arn import FunctionArn

# So often is a destination asked that refuses a failure record for good.
REFUSALS_MOST: Final = 3


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTries:
    """How it went with one record so far.

    Attributes:
        failures: attempts that have failed.
        refusals: how many of them, last and in a row, were refusals for good: no such queue, no access.
    """

    failures: int = 0
    refusals: int = 0

    def after(self, *, passes: bool) -> "DeliveryTries":
        """One more attempt has failed; ``passes`` says whether that may help another time."""
        return DeliveryTries(failures=self.failures + 1, refusals=0 if passes else self.refusals + 1)

    @property
    def is_lost(self) -> bool:
        """What it tells of is dropped, as AWS documents, so that it holds nothing up."""
        return self.refusals >= REFUSALS_MOST

"""Names of durable executions, of their checkpoints and of their callbacks.

Pure. An ARN tells function, version, the execution's name and its id. Checkpoint tokens and callback ids are letters
and digits only, because they travel in paths and queries; whoever has one can do what it stands for, so each holds a
random id.
"""

import re
from dataclasses import dataclass

from rie_server.model.arn import FunctionArn

_ARN = re.compile(
    r"arn:[a-zA-Z0-9-]+:lambda:(?P<region>[a-zA-Z0-9-]+):(?P<account>\d{12}):function:(?P<function>[a-zA-Z0-9_-]+):"
    r"(?P<version>\$LATEST(?:\.PUBLISHED)?|[0-9]+)/durable-execution/(?P<name>[a-zA-Z0-9_-]+)/(?P<id>[a-zA-Z0-9_-]+)"
)
_ID_DIGITS = 32
_TOKEN = re.compile(rf"([0-9a-f]{{{_ID_DIGITS}}})([0-9a-f]{{{_ID_DIGITS}}})([0-9]+)")
_CALLBACK = re.compile(rf"([0-9a-f]{{{_ID_DIGITS}}})((?:[0-9a-f]{{2}})+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableArn:
    """
    Attributes:
        function: qualified with the version that runs, never with an alias.
        name: as the caller gave it, or a random one; unique among the executions of a function.
        id: a UUID.
    """

    function: FunctionArn
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.function}/durable-execution/{self.name}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointToken:
    """What an invocation shows with a checkpoint: whose it is, and after which checkpoint it comes."""

    execution_id: str
    invocation_id: str
    sequence: int

    def __str__(self) -> str:
        return f"{_digits(self.execution_id)}{_digits(self.invocation_id)}{self.sequence}"


def parse_durable_arn(text: str) -> DurableArn | None:
    """None for a text that is no such ARN; the service model's pattern has refused most of those."""
    match = _ARN.fullmatch(text)
    if match is None:
        return None
    function = FunctionArn(
        region=match["region"], account=match["account"], name=match["function"], qualifier=match["version"]
    )
    return DurableArn(function=function, name=match["name"], id=match["id"])


def parse_checkpoint_token(text: str) -> CheckpointToken | None:
    """None for a text that this server has not given to anybody."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    return CheckpointToken(execution_id=_uuid(match[1]), invocation_id=_uuid(match[2]), sequence=int(match[3]))


def callback_id(execution_id: str, operation_id: str) -> str:
    return _digits(execution_id) + operation_id.encode().hex()


def parse_callback_id(text: str) -> tuple[str, str] | None:
    """The ids of execution and operation; None for a text that is no callback's id."""
    match = _CALLBACK.fullmatch(text)
    if match is None:
        return None
    try:
        return _uuid(match[1]), bytes.fromhex(match[2]).decode("ascii")
    except UnicodeDecodeError:
        return None


def _digits(uuid: str) -> str:
    return uuid.replace("-", "")


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

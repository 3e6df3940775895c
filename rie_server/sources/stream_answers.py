"""What Kinesis and DynamoDB Streams answer, as who reads a shard understands it. Thread-safe."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from rie_server.errors import IteratorExpiredError, ShardGoneError, SourceError

# What a healthy stream answers now and then, and what goes by.
_PASSING: Final = frozenset(
    {
        "ExpiredTokenException",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestExpired",
        "ResourceInUseException",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
_NOT_FOUND: Final = "ResourceNotFoundException"
_ITERATOR_ERRORS: Final = frozenset({"ExpiredIteratorException", "TrimmedDataAccessException"})


# What an emulator answers to an operation that it does not know; moto falls over it.
_UNKNOWN: Final = frozenset(
    {"UnknownOperationException", "InvalidAction", "NotImplemented", "NotImplementedException", "404", "500", "501"}
)


class StreamMissingError(SourceError):
    """There is no such stream (any more)."""


class OperationUnknownError(SourceError):
    """Whoever answers does not know the operation."""


@contextmanager
def failures_of(stream_arn: str, *, about_shard: bool = False) -> Iterator[None]:
    """Turns whatever botocore raises into a SourceError.

    Args:
        about_shard: the call names a shard or an iterator: what is not found may be that shard, and an argument that is
            refused is an iterator or a sequence number of another stream of the same name.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as trouble:
        raise failure_of(stream_arn, trouble, about_shard=about_shard) from trouble


def failure_of(stream_arn: str, trouble: BaseException, *, about_shard: bool = False) -> SourceError:
    """What an exception of botocore's means; see ``failures_of``."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the first client

    if isinstance(trouble, ClientError):
        return _answered(stream_arn, trouble.response, about_shard=about_shard)
    if isinstance(trouble, BotoCoreError):
        return SourceError(f"{stream_arn}: {type(trouble).__name__}: {trouble}")
    if isinstance(trouble, ValueError):  # an endpoint that is no URL, or an answer that is none
        return SourceError(f"{stream_arn}: {trouble}")
    # botocore's parsers raise anything when another service answers.
    return SourceError(f"{stream_arn}: the answer cannot be read: {trouble!r}")


def seconds_of(timestamp: float | datetime) -> float:
    """Seconds since the epoch, whichever way the client reads timestamps."""
    return timestamp.timestamp() if isinstance(timestamp, datetime) else float(timestamp)


@contextmanager
def same_stream(look: Callable[[], object]) -> Iterator[None]:
    """Where a shard is not found, looks whether its stream is: ``look`` raises if it is not."""
    try:
        yield
    except ShardGoneError:
        look()
        raise


def _answered(stream_arn: str, response: Mapping[str, Any], *, about_shard: bool) -> SourceError:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
    text = f"{code}: {message}"
    if code == _NOT_FOUND:
        return ShardGoneError(text) if about_shard else StreamMissingError(f"Stream not found: {stream_arn}")
    if code in _ITERATOR_ERRORS:
        return IteratorExpiredError(text)
    if about_shard and code in ("InvalidArgumentException", "ValidationException"):
        return IteratorExpiredError(text)
    if code in _UNKNOWN:
        return OperationUnknownError(text, passes=status >= 500)
    return SourceError(text, passes=status >= 500 or status == 429 or code in _PASSING)

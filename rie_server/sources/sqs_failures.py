"""What a failure to reach SQS means for who polls, in AWS's words. botocore is loaded by who calls SQS first."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rie_server.errors import SourceError

_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"})
_PASSING_WORDS = ("Throttl", "OverLimit", "RequestLimit", "SlowDown", "Internal", "Unavailable", "Timeout", "Expired")


class QueueMissingError(SourceError):
    """There is no such queue, at least not at the URL that was known."""


class SqsUnreachableError(SourceError):
    """No answer at all, or none of SQS."""


@contextmanager
def failures_of(operation: str) -> Iterator[None]:
    """Turns whatever botocore raises in ``operation`` (``ReceiveMessage``) into a SourceError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see above

    try:
        yield
    except SourceError:
        raise
    except ClientError as refusal:
        status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _answered(operation, refusal.response.get("Error", {}), status) from refusal
    except BotoCoreError as failure:
        reason = f"SQS cannot be reached to {operation}: {type(failure).__name__}: {failure}"
        raise SqsUnreachableError(reason, passes=_passes(failure)) from failure
    except ValueError as wrong:  # an endpoint that is no URL
        raise SqsUnreachableError(f"SQS cannot be reached to {operation}: {wrong}", passes=False) from wrong
    except Exception as failure:  # botocore's parsers raise anything when another service answers
        raise SqsUnreachableError(f"The answer of SQS to {operation} cannot be read: {failure!r}") from failure


def _answered(operation: str, error: Mapping[str, Any], status: int) -> SourceError:
    code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
    is_missing = code.removeprefix("com.amazonaws.sqs#") in _NO_QUEUE
    if is_missing:
        code, message = "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."
    text = f"Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"
    if is_missing:
        return QueueMissingError(text, passes=False)
    return SourceError(text, passes=status >= 500 or status == 429 or any(word in code for word in _PASSING_WORDS))


def _passes(failure: Exception) -> bool:
    from botocore import exceptions  # noqa: PLC0415 - see above

    passing = (
        exceptions.ConnectionError,  # refused, timed out, no such name
        exceptions.HTTPClientError,  # broken off, no answer in time
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
    )
    return isinstance(failure, passing)

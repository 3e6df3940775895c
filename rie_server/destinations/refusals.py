"""What a failure to deliver means: does it pass, so that trying again may help, or does it stay?

What passes is what a healthy target does now and then (throttles, its own faults, a broken connection) and what is put
right from outside without a change of configuration (a target that is down, a session that has expired). What stays is
an answer: no such queue, access denied, too large. AWS counts both as failed deliveries in the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rie_server.errors import DeliveryError, LambdaError, ResourceConflictException

_PASSING_CODES = frozenset(
    {
        # throttles
        "BandwidthLimitExceeded",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        # faults of theirs
        "InternalError",
        "InternalException",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        # sessions that somebody renews
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
    }
)


@contextmanager
def refusals_of(target_arn: str) -> Iterator[None]:
    """Turns whatever botocore raises into a DeliveryError about ``target_arn``."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the first client

    try:
        yield
    except DeliveryError:
        raise
    except ClientError as refusal:
        status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise answered(target_arn, refusal.response.get("Error", {}), status) from refusal
    except BotoCoreError as failure:
        raise DeliveryError(f"{target_arn}: {type(failure).__name__}: {failure}", passes=_passes(failure)) from failure
    except ValueError as wrong:  # an endpoint that is no URL
        raise DeliveryError(f"{target_arn}: {wrong}", passes=False) from wrong
    except Exception as failure:  # botocore's parsers raise anything when another service answers
        raise DeliveryError(f"{target_arn}: the answer cannot be read: {failure!r}", passes=True) from failure


def member(answer: Mapping[str, Any], name: str, target_arn: str) -> Any:
    """What an answer of success must hold. Without it something else has answered, a proxy for example: botocore reads
    a page in place of JSON as an answer that is empty.
    """
    if name not in answer:
        raise DeliveryError(f"{target_arn}: the answer has no {name}: is there another service?", passes=True)
    return answer[name]


def answered(target_arn: str, error: Mapping[str, Any], status: int) -> DeliveryError:
    """The target has answered with an error: ``Code`` and ``Message``, and the HTTP status if it was that."""
    code = str(error.get("Code", "Unknown"))
    passes = status >= 500 or status == 429 or code in _PASSING_CODES
    return DeliveryError(f"{target_arn}: {code}: {error.get('Message', '')}", passes=passes)


def refused_here(target_arn: str, refusal: LambdaError) -> DeliveryError:
    """A function of this server cannot be invoked."""
    passes = refusal.status >= 500 or refusal.status == 429 or isinstance(refusal, ResourceConflictException)
    return DeliveryError(f"{target_arn}: {refusal.code}: {refusal.message}", passes=passes)


def _passes(failure: Exception) -> bool:
    from botocore import exceptions  # noqa: PLC0415

    passing = (
        exceptions.ConnectionError,  # refused, timed out, no such name
        exceptions.HTTPClientError,  # broken off, no answer in time
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
    )
    return isinstance(failure, passing)

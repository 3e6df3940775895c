"""One error tree: raise anywhere, render in one place (``api/lambda_api/rendering.py``).

Every class carries what AWS puts on the wire: the code (``x-amzn-ErrorType``), the HTTP status, whose fault it was
(``Type``) and under which key the message travels, which differs from code to code. Codes and statuses are those of
botocore's service model; the message keys were recorded from AWS.
"""

from typing import ClassVar


class RieError(Exception):
    """Anything this server raises on purpose."""


class ConfigurationError(RieError):
    """The server cannot start with these settings; the text is one line for a person."""


class LambdaError(RieError):
    """An error that a Lambda API caller sees.

    Attributes:
        code: AWS's name of the error, sent as ``x-amzn-ErrorType``.
        status: the HTTP status.
        fault: ``User`` or ``Server``; None where AWS's front end answers without a ``Type``.
        message_key: ``Message`` or ``message``.
        members: further members of the body, for example ``Reason``.
        headers: further response headers, for example ``Retry-After``.
    """

    code: ClassVar[str] = "ServiceException"
    status: ClassVar[int] = 500
    fault: ClassVar[str | None] = "Server"
    message_key: ClassVar[str] = "Message"

    def __init__(
        self, message: str, *, members: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.members = members or {}
        self.headers = headers or {}


class ServiceException(LambdaError):
    """500: the server's own fault."""


class InvalidParameterValueException(LambdaError):
    code, status, message_key = "InvalidParameterValueException", 400, "message"
    fault: ClassVar[str | None] = "User"


class UntypedParameterValueException(InvalidParameterValueException):
    """For the few messages that were recorded without a ``Type``."""

    fault: ClassVar[str | None] = None


class UnreservedConcurrencyException(UntypedParameterValueException):
    """A reservation that would leave the account's other functions too little."""

    def __init__(self, minimum: int) -> None:
        super().__init__(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{minimum}]."
        )


class InvalidRequestContentException(LambdaError):
    code, status, fault, message_key = "InvalidRequestContentException", 400, "User", "message"


class CodeStorageExceededException(LambdaError):
    code, status, fault, message_key = "CodeStorageExceededException", 400, "User", "message"


class PolicyLengthExceededException(LambdaError):
    code, status, fault, message_key = "PolicyLengthExceededException", 400, "User", "message"


class CapacityProviderLimitExceededException(LambdaError):
    code, status, fault, message_key = "CapacityProviderLimitExceededException", 400, "User", "message"


class ResourceNotFoundException(LambdaError):
    code, status, fault = "ResourceNotFoundException", 404, "User"


class ProvisionedConcurrencyConfigNotFoundException(LambdaError):
    code, status, fault, message_key = "ProvisionedConcurrencyConfigNotFoundException", 404, "User", "message"

    def __init__(self) -> None:
        super().__init__("No Provisioned Concurrency Config found for this function")


class CodeSigningConfigNotFoundException(LambdaError):
    code, status, fault = "CodeSigningConfigNotFoundException", 404, "User"


class ResourceConflictException(LambdaError):
    code, status, fault, message_key = "ResourceConflictException", 409, "User", "message"


class ResourceInUseException(LambdaError):
    """An event source mapping is in transition."""

    code, status, fault = "ResourceInUseException", 400, "User"


class PreconditionFailedException(LambdaError):
    code, status, fault, message_key = "PreconditionFailedException", 412, "User", "message"


class RequestTooLargeException(LambdaError):
    code, status, fault, message_key = "RequestTooLargeException", 413, "User", "message"


class UnsupportedMediaTypeException(LambdaError):
    code, status, fault, message_key = "UnsupportedMediaTypeException", 415, "User", "message"


class TooManyRequestsException(LambdaError):
    """429 with its ``Reason`` and ``Retry-After``."""

    code, status, fault, message_key = "TooManyRequestsException", 429, "User", "message"

    def __init__(self, reason: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(
            "Rate Exceeded.", members={"Reason": reason}, headers={"Retry-After": str(retry_after_seconds)}
        )


class ZeroReservedConcurrencyException(TooManyRequestsException):
    """The function has a reserved concurrency of 0: a throttle to the caller, and no use in trying again."""

    def __init__(self) -> None:
        super().__init__("ReservedFunctionConcurrentInvocationLimitExceeded")


class RecursiveInvocationException(LambdaError):
    """The function has invoked itself, by way of others perhaps, too often in one chain."""

    code, status, fault = "RecursiveInvocationException", 400, "User"


class DurableExecutionAlreadyStartedException(LambdaError):
    """An execution of that name has begun, with another payload."""

    code, status, fault = "DurableExecutionAlreadyStartedException", 409, "User"


class CallbackTimeoutException(LambdaError):
    """A callback that nobody waits for any more."""

    code, status, fault = "CallbackTimeoutException", 400, "User"


class SnapStartException(LambdaError):
    """A restored environment's runtime has failed in its hooks."""

    code, status, fault = "SnapStartException", 400, "User"


class SnapStartTimeoutException(LambdaError):
    """A restored environment's hooks took too long."""

    code, status, fault = "SnapStartTimeoutException", 408, "User"


class InvalidRuntimeException(LambdaError):
    code, status, fault = "InvalidRuntimeException", 502, "Server"


# The errors of AWS's front end come without a Type.


class ValidationException(LambdaError):
    code, status, fault, message_key = "ValidationException", 400, None, "message"


class SerializationException(LambdaError):
    code, status, fault = "SerializationException", 400, None


class AccessDeniedException(LambdaError):
    code, status, fault = "AccessDeniedException", 403, None


class RequestEntityTooLargeException(LambdaError):
    code, status, fault, message_key = "RequestEntityTooLargeException", 413, None, "message"


class UnknownOperationException(LambdaError):
    """404: no operation of the Lambda API has this path and method."""

    code, status, fault = "UnknownOperationException", 404, None


class NotImplementedException(LambdaError):
    """501: an operation of the Lambda API that this server does not carry out."""

    code, status, fault = "NotImplementedException", 501, "Server"


class RuntimeApiError(RieError):
    """An answer of the Runtime API that a runtime did not hope for.

    Attributes:
        status: HTTP status.
        error_type: AWS's name, for example ``InvalidRequestID``.
        message: AWS's text.
    """

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message


def invalid_request_id() -> RuntimeApiError:
    """The runtime answers an invocation that is not its current one."""
    return RuntimeApiError(400, "InvalidRequestID", "Invalid request ID")


def payload_too_large(limit_bytes: int) -> RuntimeApiError:
    return RuntimeApiError(
        413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({limit_bytes} bytes)."
    )


class EnvironmentStartError(RieError):
    """An environment could not be started.

    Attributes:
        error_type: AWS's name, for example ``Runtime.InvalidEntrypoint``.
    """

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class DeliveryError(RieError):
    """A record could not be delivered to its target.

    Attributes:
        passes: trying again later may help.
    """

    def __init__(self, message: str, *, passes: bool) -> None:
        super().__init__(message)
        self.passes = passes


class LeaseLostError(RieError):
    """Somebody else has the event by now; what was to be written was not."""


class SourceError(RieError):
    """An event source could not be read or answered with an error; its text, after ``PROBLEM: ``, is what
    LastProcessingResult says.

    Attributes:
        passes: whether trying again may help without anybody's doing; where it does not, who polls waits longest.
    """

    def __init__(self, message: str, *, passes: bool = True) -> None:
        super().__init__(message)
        self.passes = passes


class IteratorExpiredError(SourceError):
    """A stream's iterator is too old, or was given by a stream that has been made anew since."""


class ShardGoneError(SourceError):
    """A shard's records have all expired, and with them the shard."""


class HistoryLostError(SourceError):
    """A change stream no longer holds what comes after the point that a mapping has reached."""

"""What AWS says of a signature that opens nothing; a page of the error tree."""

from rie_server.errors import LambdaError


class MissingAuthenticationTokenException(LambdaError):
    code, status, fault, message_key = "MissingAuthenticationTokenException", 403, None, "message"


class UnrecognizedClientException(LambdaError):
    code, status, fault, message_key = "UnrecognizedClientException", 403, None, "message"


class ExpiredTokenException(LambdaError):
    code, status, fault, message_key = "ExpiredTokenException", 403, None, "message"


class InvalidSignatureException(LambdaError):
    code, status, fault, message_key = "InvalidSignatureException", 403, None, "message"


class IncompleteSignatureException(LambdaError):
    code, status, fault, message_key = "IncompleteSignatureException", 403, None, "message"

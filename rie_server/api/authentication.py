"""Who has signed a request: access keys, clocks and scopes, with AWS's answers to what is wrong.

Thread-safe and never blocking.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rie_server.api.exchange import Request
from rie_server.api.signature import GivenSignature, given_signature
from rie_server.api.signature_errors import (
    ExpiredTokenException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from rie_server.errors import AccessDeniedException, RequestTooLargeException
from rie_server.model.caller import AccessKey, Caller
from rie_server.ports import Clock

_SKEW = timedelta(minutes=5)
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_LONGEST_SECONDS = 604800
# These are compared with the body, the key and the signed text anyway.
_WITHOUT_EFFECT = frozenset(("x-amz-content-sha256", "x-amz-date", "x-amz-security-token"))


class Authentication:
    """
    Args:
        access_keys: by id.
        service: for which requests must be signed.
    """

    def __init__(self, *, access_keys: Mapping[str, AccessKey], clock: Clock, service: str = "lambda") -> None:
        self._access_keys = access_keys
        self._clock = clock
        self._service = service

    def caller(self, request: Request) -> Caller:
        """As ``signed``, without the region."""
        return self.signed(request)[0]

    def signed(self, request: Request) -> tuple[Caller, str]:
        """Who has signed, and for which region.

        Raises:
            MissingAuthenticationTokenException: it is not signed.
            UnrecognizedClientException: nobody has this access key.
            ExpiredTokenException: it belongs to a session that is over.
            AccessDeniedException: a header that means something is not part of what was signed.
            InvalidSignatureException: signed with another secret, changed since, or too old.
            IncompleteSignatureException: a part of the signature is missing.
        """
        given = given_signature(request)
        if given is None:
            raise MissingAuthenticationTokenException("Missing Authentication Token")
        access_key = self._access_keys.get(given.access_key)
        if access_key is None or access_key.token != given.token:
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        if access_key.expires_at is not None and access_key.expires_at <= self._clock.now():
            raise ExpiredTokenException("The security token included in the request is expired")
        if request.body_bytes > len(request.body):
            raise RequestTooLargeException(f"{request.body_bytes} bytes are more than any operation accepts.")
        self._check_scope(given)
        self._check_time(given)
        _check_headers(request, given)
        from rie_server.api.signature_check import is_right  # noqa: PLC0415 - see there

        if not is_right(request, given, access_key.secret):
            raise InvalidSignatureException(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details."
            )
        return access_key.caller, given.region

    def _check_scope(self, given: GivenSignature) -> None:
        if given.service != self._service:
            raise InvalidSignatureException(f"Credential should be scoped to correct service: '{self._service}'. ")
        if given.date != given.timestamp[:8]:
            raise InvalidSignatureException(
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{given.date}' != '{given.timestamp[:8]}', from '{given.timestamp}'."
            )

    def _check_time(self, given: GivenSignature) -> None:
        try:
            signed_at = datetime.strptime(given.timestamp, _TIMESTAMP).replace(tzinfo=UTC)
        except ValueError:
            raise InvalidSignatureException(
                f"Date must be in ISO-8601 'basic format'. Got '{given.timestamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ) from None
        if given.expires_seconds is not None and given.expires_seconds > _LONGEST_SECONDS:
            raise InvalidSignatureException(f"X-Amz-Expires must be less than {_LONGEST_SECONDS} seconds.")
        now = datetime.fromtimestamp(int(self._clock.now()), UTC)
        life = _SKEW if given.expires_seconds is None else timedelta(seconds=given.expires_seconds)
        if signed_at < now - life:
            raise InvalidSignatureException(
                f"Signature expired: {given.timestamp} is now earlier than {_text(now - life)} "
                f"({_text(now)} - {int(life.total_seconds() // 60)} min.)"
            )
        if signed_at > now + _SKEW:
            raise InvalidSignatureException(
                f"Signature not yet current: {given.timestamp} is still later than {_text(now + _SKEW)} "
                f"({_text(now)} + 5 min.)"
            )


def _check_headers(request: Request, given: GivenSignature) -> None:
    """Whoever sees a signed request, or has a presigned URL, must not be able to add to what it says."""
    unsigned = {name for name in request.headers if name.startswith("x-amz-")} - _WITHOUT_EFFECT
    if not unsigned.issubset(given.signed_headers):
        raise AccessDeniedException("There were headers present in the request which were not signed")


def _text(moment: datetime) -> str:
    return moment.strftime(_TIMESTAMP)

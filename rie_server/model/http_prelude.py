"""The prelude of a streamed HTTP response: what a runtime writes before the body, for whoever serves HTTP.

Pure. With the content type ``application/vnd.awslambda.http-integration-response`` a response begins with a JSON object
(``statusCode``, ``headers``, ``cookies``), eight NUL bytes end it, and everything after them is the body. It may come
in any pieces, so it is read as they come.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "application/vnd.awslambda.http-integration-response"
DELIMITER: Final = b"\0" * 8
# More than any front door takes for headers; a response without the delimiter is not collected for ever.
PRELUDE_BYTES: Final = 64 * 1024


class InvalidPreludeError(ValueError):
    """The runtime said that a prelude comes, and none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPrelude:
    """
    Attributes:
        headers: by the names that the function gave; of several values the last one.
        cookies: one ``Set-Cookie`` each.
    """

    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


class PreludeReader:
    """Takes a response's pieces until its prelude is complete. Not thread-safe.

    Attributes:
        prelude: None until it is complete.
    """

    __slots__ = ("_seen", "prelude")

    def __init__(self) -> None:
        self._seen = b""
        self.prelude: HttpPrelude | None = None

    def feed(self, data: bytes) -> bytes:
        """What of ``data`` belongs to the body.

        Raises:
            InvalidPreludeError: this is no prelude, or none that ends.
        """
        if self.prelude is not None:
            return data
        # A delimiter may lie across two pieces; JSON itself holds no NUL.
        self._seen += data
        text, delimiter, body = self._seen.partition(DELIMITER)
        if len(text) > PRELUDE_BYTES:
            raise InvalidPreludeError(f"The prelude exceeds {PRELUDE_BYTES} bytes")
        if not delimiter:
            return b""
        self._seen = b""
        self.prelude = parse_prelude(text)
        return body

    def finish(self) -> None:
        """The response has ended.

        Raises:
            InvalidPreludeError: in the middle of its prelude.
        """
        if self.prelude is None:
            raise InvalidPreludeError("The response ended before its prelude did")


def parse_prelude(text: bytes) -> HttpPrelude:
    """The prelude without its delimiter.

    Raises:
        InvalidPreludeError: no JSON object, or members of the wrong kind.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidPreludeError("The prelude is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidPreludeError("The prelude is not a JSON object")
    return HttpPrelude(
        status_code=_status_code(document.get("statusCode")),
        headers=_headers(document.get("headers")),
        cookies=_cookies(document.get("cookies")),
    )


def _status_code(value: object) -> int:
    if value is None:
        return 200
    if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= 599:
        raise InvalidPreludeError(f"statusCode {value!r} is no status of HTTP")
    return value


def _headers(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidPreludeError("headers are no JSON object")
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in value.items()}


def _cookies(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(cookie, str) for cookie in value):
        raise InvalidPreludeError("cookies are no list of strings")
    return tuple(value)

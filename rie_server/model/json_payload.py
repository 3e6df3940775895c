"""Is a payload JSON? AWS checks before it runs anything, and says so in the words of its parser.

Pure. The texts follow the shape that was recorded from AWS; line and column count from 1.
"""

import json
import re

from rie_server.errors import InvalidRequestContentException

_SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_WORD = re.compile(r"[A-Za-z_$][\w$]*")


def _reject_constant(name: str) -> None:
    raise json.JSONDecodeError(f"Unrecognized token '{name}'", name, 0)


# Numbers become floats: the value is thrown away, and an integer of any length is legal JSON.
_decoder = json.JSONDecoder(parse_constant=_reject_constant, parse_int=float)
_SPACE = " \t\r\n"


def check_json(payload: bytes) -> None:
    """
    Raises:
        InvalidRequestContentException: ``payload`` is not one JSON value in UTF-8.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise _refusal(f"Invalid UTF-8 start byte 0x{payload[error.start]:x}", line=1, column=error.start + 1) from None
    try:
        if _is_one_value(text):
            return
        _decoder.decode(text)
    except json.JSONDecodeError as error:
        where = error.pos if error.doc == text else text.find(error.doc)
        line = text.count("\n", 0, where) + 1
        column = where - text.rfind("\n", 0, where)
        raise _refusal(_words(text, where), line=line, column=column) from None
    except RecursionError:
        depth = "Document nesting depth (1001) exceeds the maximum allowed (1000)"
        raise _refusal(depth, line=1, column=1001) from None


def _is_one_value(text: str) -> bool:
    """The usual case, without the search for what is wrong."""
    value = text.strip(_SPACE)
    try:
        end: int = _decoder.scan_once(value, 0)[1]  # type: ignore[attr-defined]  # typeshed does not know it
        return end == len(value)
    except StopIteration:
        return False


def _words(text: str, where: int) -> str:
    rest = text[where:].lstrip()
    if not rest:
        return "Unexpected end-of-input"
    if word := _WORD.match(rest):
        return f"Unrecognized token '{word[0]}': was expecting {_EXPECTED}"
    return f"Unexpected character ('{rest[0]}' (code {ord(rest[0])})): was expecting {_EXPECTED}"


def _refusal(words: str, *, line: int, column: int) -> InvalidRequestContentException:
    source = _SOURCE.format(line=line, column=column)
    return InvalidRequestContentException(
        f"Could not parse request body into json: Could not parse payload into json: {words}\n at {source}"
    )

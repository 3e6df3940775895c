"""``FilterCriteria``: which records of an event source a function wants to see.

Pure, and safe to share among threads: a pattern is compiled once, matching a document takes a few microseconds.

A pattern has the shape of the documents that it matches. Several keys must all match, of a list at a leaf one element
must; where the document has an array, one of its elements must match. ``exists`` asks for leaves only: an object, or an
array without scalars, does not exist for it. ``$or`` is a list of alternatives. Between filters it is enough that one
matches, and without filters everything does.

AWS: Lambda Developer Guide, "Filter rule syntax"; Amazon EventBridge User Guide, "Event patterns".
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.filter_rules import (
    OPERATORS,
    InvalidRule,
    NumberText,
    Test,
    comparison,
    exactly,
)

PATTERN_CHARACTERS: Final = 4096
# AWS does not say how deep a pattern may be. Nobody writes one like this by hand, and a stack is no place to find out.
PATTERN_DEPTH: Final = 100

_Matcher = Callable[[Any], bool]
_ABSENT: Final = object()
_OR: Final = "$or"


class Payload:
    """What a record carries, at the key where a pattern may look into it.

    A pattern that goes on below the key wants JSON, and one that ends there wants plain text; a payload of the other
    kind matches nothing, whatever else the pattern says. Bytes that are no UTF-8 are of neither kind.
    """

    __slots__ = ("_parsed", "_raw")

    def __init__(self, raw: bytes | str) -> None:
        self._raw = raw
        self._parsed: tuple[str | None, Any] | None = None

    @property
    def plain_text(self) -> str | None:
        """None where the payload is JSON or no text."""
        return self._kinds()[0]

    @property
    def document(self) -> Any:
        """The object or array; None where the payload is neither."""
        return self._kinds()[1]

    def _kinds(self) -> tuple[str | None, Any]:
        # Only a pattern that looks into the payload pays for parsing it, and all filters together pay once.
        if self._parsed is None:
            self._parsed = self._parse()
        return self._parsed

    def _parse(self) -> tuple[str | None, Any]:
        try:
            text = self._raw if isinstance(self._raw, str) else self._raw.decode()
        except UnicodeDecodeError:
            return None, None
        try:
            document = parse_json(text)
        except (ValueError, RecursionError):
            return text, None
        # ``5`` or ``"x"`` as a whole payload is JSON by the letter, and plain text to everybody who sends it.
        return (None, document) if isinstance(document, dict | list) else (text, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Compiled patterns of one event source mapping.

    Attributes:
        patterns: the texts that they were made from.
    """

    patterns: tuple[str, ...] = ()
    _matchers: tuple[_Matcher, ...] = field(default=(), repr=False, compare=False)

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether at least one filter matches, or there is none.

        Args:
            document: JSON as ``json.loads`` or ``parse_json`` makes it; only the latter remembers how numbers were
                written. Values may be a ``Payload``.
        """
        if not self._matchers:
            return True
        for matches in self._matchers:  # noqa: SIM110  # a generator costs as much as a whole filter
            if matches(document):
                return True
        return False


def compile_filters(patterns: Sequence[str]) -> Filters:
    """
    Raises:
        InvalidParameterValueException: one of ``patterns`` is none that AWS accepts.
    """
    try:
        matchers = tuple(_compile(pattern) for pattern in patterns)
    except (ValueError, RecursionError):
        raise InvalidParameterValueException("Invalid filter pattern definition.") from None
    return Filters(patterns=tuple(patterns), _matchers=matchers)


def parse_json(text: str) -> Any:
    """``text`` as a document whose numbers are kept as they are written.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is too deep.
    """
    return json.loads(text, parse_int=NumberText, parse_float=NumberText, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _compile(pattern: str) -> _Matcher:
    if len(pattern) > PATTERN_CHARACTERS:
        raise InvalidRule("too long")
    return _object_matcher(parse_json(pattern), depth=1)


def _object_matcher(pattern: Any, *, depth: int) -> _Matcher:
    """Matches one object by all keys of ``pattern``."""
    if not isinstance(pattern, dict) or not pattern or depth > PATTERN_DEPTH:
        raise InvalidRule(pattern)
    fields: list[tuple[str, _Matcher]] = []
    choices: list[tuple[_Matcher, ...]] = []
    for key, inner in pattern.items():
        if key == _OR and _are_alternatives(inner):
            choices.append(tuple(_object_matcher(one, depth=depth + 1) for one in inner))
        elif isinstance(inner, dict):
            fields.append((key, _nested_matcher(_object_matcher(inner, depth=depth + 1))))
        else:
            fields.append((key, _leaf_matcher(inner)))

    def matches(document: Mapping[str, Any]) -> bool:
        for key, matches_value in fields:
            if not matches_value(document.get(key, _ABSENT)):
                return False
        for alternatives in choices:  # noqa: SIM110
            if not any(alternative(document) for alternative in alternatives):
                return False
        return True

    return matches


def _are_alternatives(inner: Any) -> bool:
    """Otherwise ``$or`` is a key like others: it was one before EventBridge gave it a meaning."""
    return (
        isinstance(inner, list)
        and len(inner) > 1
        and all(isinstance(one, dict) and one and not OPERATORS & one.keys() for one in inner)
    )


def _nested_matcher(matches_object: _Matcher) -> _Matcher:
    # Below what is no object nothing exists, and a pattern may ask for just that.
    matches_nothing = matches_object({})

    def matches(value: Any) -> bool:
        if type(value) is Payload:
            value = value.document
            if value is None:
                return False
        if type(value) is dict:
            return matches_object(value)
        objects = [one for one in _elements(value) if type(one) is dict] if type(value) is list else ()
        return any(matches_object(one) for one in objects) if objects else matches_nothing

    return matches


def _leaf_matcher(rules: Any) -> _Matcher:
    if not isinstance(rules, list) or not rules:
        raise InvalidRule(rules)
    tests, matches_absence = _leaf_tests(rules)

    def matches(value: Any) -> bool:
        if type(value) is Payload:
            value = value.plain_text
            if value is None:
                return False
        if value is _ABSENT or type(value) is dict:
            return matches_absence
        if type(value) is list:
            scalars = [one for one in _elements(value) if type(one) is not dict]
            return any(test(one) for one in scalars for test in tests) if scalars else matches_absence
        for test in tests:  # noqa: SIM110
            if test(value):
                return True
        return False

    return matches


def _leaf_tests(rules: list[Any]) -> tuple[tuple[Test, ...], bool]:
    """The tests of which one must hold for a scalar, and whether it is also fine that there is none."""
    values: list[Any] = []
    tests: list[Test] = []
    matches_absence = False
    for rule in rules:
        if isinstance(rule, list) or (isinstance(rule, dict) and len(rule) != 1):
            raise InvalidRule(rule)
        if not isinstance(rule, dict):
            values.append(rule)
        elif "exists" not in rule:
            tests.extend(comparison(operator, operand) for operator, operand in rule.items())
        elif rule["exists"] is True:
            tests.append(_exists)
        elif rule["exists"] is False:
            matches_absence = True
        else:
            raise InvalidRule(rule)
    if values:
        tests.insert(0, exactly(values))
    return tuple(tests), matches_absence


def _exists(_scalar: Any) -> bool:
    return True


def _elements(array: list[Any]) -> Iterator[Any]:
    """What stands in ``array``, and in the arrays within, however deep."""
    waiting = [array]
    while waiting:
        for element in waiting.pop():
            if type(element) is list:
                waiting.append(element)
            else:
                yield element

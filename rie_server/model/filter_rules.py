"""The comparisons of EventBridge's pattern language: one element of a leaf's list becomes one test of one scalar.

Pure. A test takes a scalar of a JSON document (text, number, true, false or null) and never raises. Numbers are equal
if they are written alike (``300`` is not ``3.0e2``); only ``numeric`` compares what they are worth.

AWS: Amazon EventBridge User Guide, "Comparison operators for use in event patterns".
"""

import ipaddress
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

Test = Callable[[Any], bool]

OPERATORS: Final = frozenset(
    {"prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"}
)
# "Numeric matching is limited to values between -5.0e9 and +5.0e9 inclusive."
NUMERIC_LIMIT: Final = 5.0e9

_NETWORK: Final = re.compile(r"(?P<address>[0-9a-fA-F:.]+)/\d{1,3}")
_WILDCARD_PART: Final = re.compile(r"\\[*\\]|[^*\\]|\*")


class NumberText(str):
    """A number as it is written in a JSON text; it is no string."""

    __slots__ = ()


class InvalidRule(ValueError):  # noqa: N818  # it names what AWS refuses
    """AWS would not accept this element of a pattern."""


def exactly(values: Collection[Any]) -> Test:
    """The scalar is one of ``values``."""
    texts = frozenset(value for value in values if type(value) is str)
    written = frozenset(_written(value) for value in values if type(value) is not str)

    def test(scalar: Any) -> bool:
        return scalar in texts if type(scalar) is str else _written(scalar) in written

    return test


def comparison(operator: str, operand: Any) -> Test:
    """The test that ``{operator: operand}`` means, for every operator but ``exists``, which asks for no scalar.

    Raises:
        InvalidRule: AWS knows no such operator, or not with such an operand.
    """
    compile_operator = _COMPARISONS.get(operator)
    if compile_operator is None:
        raise InvalidRule(operator)
    return compile_operator(operand)


def _written(scalar: Any) -> str:
    return str(scalar) if type(scalar) is NumberText else json.dumps(scalar)


def _text(operand: Any) -> str:
    if type(operand) is not str:
        raise InvalidRule(operand)
    return operand


def _ignoring_case(operand: Any) -> str | None:
    """``x`` of ``{"equals-ignore-case": x}`` in lower case; None where ``operand`` is no such object."""
    if not isinstance(operand, Mapping):
        return None
    if list(operand) != ["equals-ignore-case"]:
        raise InvalidRule(operand)
    return _text(operand["equals-ignore-case"]).lower()


def _prefix(operand: Any) -> Test:
    lower = _ignoring_case(operand)
    if lower is not None:
        return lambda scalar: type(scalar) is str and scalar.lower().startswith(lower)
    prefix = _text(operand)
    return lambda scalar: type(scalar) is str and scalar.startswith(prefix)


def _suffix(operand: Any) -> Test:
    lower = _ignoring_case(operand)
    if lower is not None:
        return lambda scalar: type(scalar) is str and scalar.lower().endswith(lower)
    suffix = _text(operand)
    return lambda scalar: type(scalar) is str and scalar.endswith(suffix)


def _equals_ignore_case(operand: Any) -> Test:
    lower = _text(operand).lower()
    return lambda scalar: type(scalar) is str and scalar.lower() == lower


def _wildcard(operand: Any) -> Test:
    r"""``*`` is any run of characters, ``\*`` and ``\\`` are themselves; two stars in a row are refused.

    No regular expression: its time could grow with a power of the text's length.
    """
    first, *others = _between_stars(_text(operand))
    if not others:
        return lambda scalar: type(scalar) is str and scalar == first
    *middle, last = others
    least = len(first) + len(last)

    def test(scalar: Any) -> bool:
        if type(scalar) is not str or len(scalar) < least:
            return False
        if not (scalar.startswith(first) and scalar.endswith(last)):
            return False
        at, end = len(first), len(scalar) - len(last)
        for part in middle:
            found = scalar.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return test


def _between_stars(pattern: str) -> list[str]:
    parts, was_star = [""], False
    at = 0
    while at < len(pattern):
        match = _WILDCARD_PART.match(pattern, at)
        if match is None or (match[0] == "*" and was_star):
            raise InvalidRule(pattern)
        was_star = match[0] == "*"
        if was_star:
            parts.append("")
        else:
            parts[-1] += match[0][-1]
        at = match.end()
    return parts


def _anything_but(operand: Any) -> Test:
    """The scalar is there, and is none of these. Lists are of texts or of numbers; a mixture is refused."""
    if isinstance(operand, Mapping):
        return _anything_but_compared(operand)
    values = operand if isinstance(operand, list) else [operand]
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {NumberText}):
        raise InvalidRule(operand)
    excluded = exactly(values)
    return lambda scalar: not excluded(scalar)


def _anything_but_compared(operand: Mapping[str, Any]) -> Test:
    if len(operand) != 1:
        raise InvalidRule(operand)
    [(operator, inner)] = operand.items()
    texts = inner if isinstance(inner, list) else [inner]
    if operator not in _DENIABLE or not texts or not all(type(text) is str and text for text in texts):
        raise InvalidRule(operand)
    tests = [comparison(operator, text) for text in texts]
    return lambda scalar: not any(test(scalar) for test in tests)


def _numeric(operand: Any) -> Test:
    """``["=", n]``, one bound, or a lower bound followed by an upper one."""
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidRule(operand)
    bounds = [(operand[at], _number(operand[at + 1])) for at in range(0, len(operand), 2)]
    operator, number = bounds[0]
    if len(bounds) == 1:
        return _bounded(operator, number)
    upper_operator, upper = bounds[1]
    if operator not in (">", ">=") or upper_operator not in ("<", "<=") or number >= upper:
        raise InvalidRule(operand)
    above, below = _bounded(operator, number), _bounded(upper_operator, upper)
    return lambda scalar: above(scalar) and below(scalar)


def _bounded(operator: Any, bound: float) -> Test:
    compare = _NUMERIC_OPERATORS.get(operator) if type(operator) is str else None
    if compare is None:
        raise InvalidRule(operator)

    def test(scalar: Any) -> bool:
        if type(scalar) not in (NumberText, int, float) or abs(number := _worth(scalar)) > NUMERIC_LIMIT:
            return False
        return compare(number, bound)

    return test


def _worth(scalar: Any) -> float:
    try:
        return float(scalar)
    except OverflowError:
        return float("inf")


def _number(operand: Any) -> float:
    if type(operand) is not NumberText or abs(number := float(operand)) > NUMERIC_LIMIT:
        raise InvalidRule(operand)
    return number


def _cidr(operand: Any) -> Test:
    if _NETWORK.fullmatch(_text(operand)) is None:
        raise InvalidRule(operand)
    try:
        network = ipaddress.ip_network(operand, strict=False)
    except ValueError:
        raise InvalidRule(operand) from None
    version, lowest, highest = network.version, int(network.network_address), int(network.broadcast_address)

    def test(scalar: Any) -> bool:
        if type(scalar) is not str:
            return False
        try:
            address = ipaddress.ip_address(scalar)
        except ValueError:
            return False
        return address.version == version and lowest <= int(address) <= highest

    return test


_NUMERIC_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda number, bound: number == bound,
    "<": lambda number, bound: number < bound,
    "<=": lambda number, bound: number <= bound,
    ">": lambda number, bound: number > bound,
    ">=": lambda number, bound: number >= bound,
}
_DENIABLE: Final[Sequence[str]] = ("prefix", "suffix", "equals-ignore-case", "wildcard")
_COMPARISONS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}

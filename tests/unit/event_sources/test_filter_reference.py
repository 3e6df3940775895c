"""Filters agree with a matcher that was written for clarity alone, on whatever patterns and documents there are."""

import json
import re
from contextlib import suppress
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rie_server.errors import InvalidParameterValueException
from rie_server.model.filter_pattern import compile_filters

KEYS = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["", "x", "X", "xy", "yX", "xyx", "x*y", "10.0.0.1", "10.0.1.1", "::1"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 1.5, 10**10])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
    ),
    max_size=3,
)

SMALL_NUMBERS = st.sampled_from([-1, 0, 1, 1.5, 2])
WILDCARDS = st.sampled_from(["*", "x*", "*x", "x*x", "*y*", r"x\*y", "x*y*x"])
FULL_TEXTS = TEXTS.filter(bool)


def one_or_several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


def operation(name: str, operand: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({name: operand})


RULES = st.one_of(
    SCALARS,
    operation("prefix", TEXTS | operation("equals-ignore-case", TEXTS)),
    operation("suffix", TEXTS | operation("equals-ignore-case", TEXTS)),
    operation("equals-ignore-case", TEXTS),
    operation("wildcard", WILDCARDS),
    operation("exists", st.booleans()),
    operation("cidr", st.sampled_from(["10.0.0.0/24", "10.0.0.0/8", "::/64"])),
    operation("numeric", st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), SMALL_NUMBERS).map(list)),
    operation("numeric", st.sampled_from([[">", -1, "<", 2], [">=", 0, "<=", 1], [">", 0, "<=", 1.5]])),
    operation("anything-but", one_or_several(TEXTS) | one_or_several(NUMBERS)),
    operation("anything-but", operation("prefix", one_or_several(FULL_TEXTS))),
    operation("anything-but", operation("suffix", one_or_several(FULL_TEXTS))),
    operation("anything-but", operation("equals-ignore-case", one_or_several(FULL_TEXTS))),
    operation("anything-but", operation("wildcard", one_or_several(WILDCARDS))),
)
PATTERNS = st.recursive(
    st.dictionaries(KEYS, st.lists(RULES, min_size=1, max_size=3), min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, min_size=1, max_size=2),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=2, max_size=3)}),
        st.builds(lambda one, other: {**one, "$or": [one, other]}, inner, inner),
    ),
    max_leaves=4,
)


def expected(pattern: dict[str, Any], document: dict[str, Any]) -> bool:
    return all(
        any(expected(one, document) for one in inner) if key == "$or" else expected_at(inner, document, key)
        for key, inner in pattern.items()
    )


def expected_at(inner: Any, document: dict[str, Any], key: str) -> bool:
    found = flattened([document[key]]) if key in document else []
    if isinstance(inner, dict):
        objects = [one for one in found if isinstance(one, dict)]
        return any(expected(inner, one) for one in objects or [{}])
    scalars = [one for one in found if not isinstance(one, dict)]
    return any(holds(rule, scalar) for rule in inner for scalar in scalars) or (
        not scalars and any(rule == {"exists": False} for rule in inner)
    )


def flattened(values: list[Any]) -> list[Any]:
    return [leaf for value in values for leaf in (flattened(value) if isinstance(value, list) else [value])]


def holds(rule: Any, scalar: Any) -> bool:
    if not isinstance(rule, dict):
        return json.dumps(rule) == json.dumps(scalar)
    [(name, operand)] = rule.items()
    if name == "exists":
        return bool(operand)
    if name == "anything-but":
        return not any(holds(denied, scalar) for denied in denials(operand))
    if name == "numeric":
        return is_number(scalar) and abs(scalar) <= 5e9 and in_bounds(Decimal(scalar), operand)
    return isinstance(scalar, str) and text_holds(name, operand, scalar)


def denials(operand: Any) -> list[Any]:
    if not isinstance(operand, dict):
        return operand if isinstance(operand, list) else [operand]
    [(name, inner)] = operand.items()
    return [{name: one} for one in (inner if isinstance(inner, list) else [inner])]


def is_number(scalar: Any) -> bool:
    return isinstance(scalar, int | float) and not isinstance(scalar, bool)


def in_bounds(number: Decimal, bounds: list[Any]) -> bool:
    if not bounds:
        return True
    bound = Decimal(bounds[1])
    if "=" in bounds[0] and number == bound:
        return in_bounds(number, bounds[2:])
    below, above = "<" in bounds[0] and number < bound, ">" in bounds[0] and number > bound
    return (below or above) and in_bounds(number, bounds[2:])


def text_holds(name: str, operand: Any, text: str) -> bool:
    if isinstance(operand, dict):
        return text_holds(name, operand["equals-ignore-case"].upper(), text.upper())
    if name == "cidr":
        try:
            return ip_address(text) in ip_network(operand)
        except ValueError:
            return False
    expression = {
        "prefix": re.escape(operand) + ".*",
        "suffix": ".*" + re.escape(operand),
        "equals-ignore-case": "(?i:" + re.escape(operand) + ")",
        "wildcard": re.sub(r"\\?.", lambda part: ".*" if part[0] == "*" else re.escape(part[0][-1]), operand),
    }[name]
    return re.fullmatch(expression, text, re.DOTALL) is not None


@given(pattern=PATTERNS, document=DOCUMENTS)
def test_a_document_matches_exactly_when_the_reference_says_so(pattern: Any, document: Any) -> None:
    assert compile_filters([json.dumps(pattern)]).matches(document) is expected(pattern, document)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(pattern=PATTERNS, values=st.lists(ANY_JSON, min_size=3, max_size=3))
def test_no_document_makes_a_filter_fail(pattern: Any, values: list[Any]) -> None:
    document = dict(zip("abc", values, strict=True))
    assert compile_filters([json.dumps(pattern)]).matches(document) in (True, False)


@given(pattern=ANY_JSON)
def test_anything_that_is_no_pattern_is_refused_and_nothing_else_happens(pattern: Any) -> None:
    with suppress(InvalidParameterValueException):
        filters = compile_filters([json.dumps(pattern)])
        assert isinstance(pattern, dict)
        assert filters.matches({}) in (True, False)

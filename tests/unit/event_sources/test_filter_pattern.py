"""Filter patterns: what matches what, and which ones AWS does not accept."""

import json
from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException
from rie_server.model.filter_pattern import PATTERN_CHARACTERS, PATTERN_DEPTH, compile_filters, parse_json


def matches(pattern: Any, document: Any) -> bool:
    return compile_filters([json.dumps(pattern)]).matches(document)


MATCHING = [
    ({"a": ["x"]}, {"a": "x"}),
    ({"a": ["x", "y"]}, {"a": "y"}),
    ({"a": [""]}, {"a": ""}),
    ({"a": [None]}, {"a": None}),
    ({"a": [True]}, {"a": True}),
    ({"a": [300]}, {"a": 300}),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "y", "c": 1}),
    ({"a": {"b": {"c": ["x"]}}}, {"a": {"b": {"c": "x"}}}),
    ({"a": ["x"]}, {"a": ["w", "x"]}),
    ({"a": ["x"]}, {"a": [["w", ["x"]]]}),
    ({"a": {"b": ["x"]}}, {"a": [{"b": "w"}, {"b": "x"}]}),
    ({"a": [{"prefix": "us-"}]}, {"a": "us-east-1"}),
    ({"a": [{"prefix": {"equals-ignore-case": "US-"}}]}, {"a": "us-east-1"}),
    ({"a": [{"suffix": ".png"}]}, {"a": "x.png"}),
    ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "x.png"}),
    ({"a": [{"equals-ignore-case": "alice"}]}, {"a": "ALICE"}),
    ({"a": [{"wildcard": "dir/*.png"}]}, {"a": "dir/sub/x.png"}),
    ({"a": [{"wildcard": "*"}]}, {"a": ""}),
    ({"a": [{"wildcard": "a*b*c"}]}, {"a": "a-b-b-c"}),
    ({"a": [{"wildcard": r"1\*2*\\"}]}, {"a": "1*2 and a \\"}),
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}),
    ({"a": [{"anything-but": "x"}]}, {"a": None}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}),
    ({"a": [{"anything-but": 1}]}, {"a": 2}),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": "1"}),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]}),
    ({"a": [{"anything-but": {"prefix": "us-"}}]}, {"a": "eu-west-1"}),
    ({"a": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}, {"a": "ap-south-1"}),
    ({"a": [{"anything-but": {"suffix": ".png"}}]}, {"a": "x.jpg"}),
    ({"a": [{"anything-but": {"equals-ignore-case": ["x", "y"]}}]}, {"a": "Z"}),
    ({"a": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"a": "/usr/bin/x"}),
    ({"a": [{"numeric": ["=", 300]}]}, {"a": 300.0}),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 20}),
    ({"a": [{"numeric": ["<", 0]}]}, {"a": -0.5}),
    ({"a": [{"numeric": [">=", 0]}]}, {"a": 0}),
    ({"a": [{"exists": True}]}, {"a": None}),
    ({"a": [{"exists": False}]}, {"b": 1}),
    ({"a": {"b": [{"exists": False}]}}, {}),
    ({"a": {"b": [{"exists": False}]}}, {"a": "scalar"}),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": "2001:db8::1"}),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "w", "b": "y"}),
    ({"d": {"$or": [{"a": ["x"]}, {"b": ["y"]}], "c": ["z"]}}, {"d": {"a": "x", "c": "z"}}),
    ({"$or": ["x"]}, {"$or": "x"}),
    ({"$or": [{"prefix": "x"}, {"suffix": "y"}]}, {"$or": "xz"}),
]


@pytest.mark.parametrize(("pattern", "document"), MATCHING)
def test_a_document_that_is_as_the_pattern_says_matches(pattern: Any, document: Any) -> None:
    assert matches(pattern, document)


DIFFERING = [
    ({"a": ["x"]}, {}),
    ({"a": ["x"]}, {"a": "X"}),
    ({"a": ["1"]}, {"a": 1}),
    ({"a": ["null"]}, {"a": None}),
    ({"a": ["true"]}, {"a": True}),
    ({"a": [1]}, {"a": True}),
    ({"a": [True]}, {"a": 1}),
    ({"a": [""]}, {"a": None}),
    ({"a": ["x"], "b": ["y"]}, {"a": "x"}),
    ({"a": ["x"]}, {"a": {"x": "x"}}),
    ({"a": ["x"]}, {"a": []}),
    ({"a": {"b": ["x"]}}, {"a": "x"}),
    ({"a": {"b": ["x"], "c": ["y"]}}, {"a": [{"b": "x"}, {"c": "y"}]}),
    ({"a": [{"prefix": "1"}]}, {"a": 12}),
    ({"a": [{"suffix": ".png"}]}, {"a": "png"}),
    ({"a": [{"wildcard": "a*a"}]}, {"a": "a"}),
    ({"a": [{"wildcard": "a*b*c"}]}, {"a": "acb"}),
    ({"a": [{"wildcard": r"\*"}]}, {"a": "x"}),
    ({"a": [{"anything-but": "x"}]}, {}),
    ({"a": [{"anything-but": "x"}]}, {"a": []}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": ["x", "y"]}),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": 2}),
    ({"a": [{"anything-but": {"equals-ignore-case": "x"}}]}, {"a": "X"}),
    ({"a": [{"anything-but": {"wildcard": ["*/lib/*", "x"]}}]}, {"a": "/usr/lib/y"}),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 10}),
    ({"a": [{"numeric": [">", 10]}]}, {"a": "11"}),
    ({"a": [{"numeric": [">", 10]}]}, {"a": 5_000_000_001}),
    ({"a": [{"numeric": ["=", 1]}]}, {"a": True}),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}),
    ({"a": [{"exists": True}]}, {"a": []}),
    ({"a": [{"exists": False}]}, {"a": None}),
    ({"a": {"b": [{"exists": False}]}}, {"a": {"b": 1}}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.0"}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "::ffff:10.0.0.1"}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "not an address"}),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}], "c": ["z"]}, {"a": "x"}),
]


@pytest.mark.parametrize(("pattern", "document"), DIFFERING)
def test_a_document_that_differs_does_not_match(pattern: Any, document: Any) -> None:
    assert not matches(pattern, document)


REFUSED = [
    "",
    "x",
    "null",
    "[]",
    '"text"',
    "{}",
    '{"a": {}}',
    '{"a": "x"}',
    '{"a": 1}',
    '{"a": null}',
    '{"a": []}',
    '{"a": [["x"]]}',
    '{"a": [NaN]}',
    '{"a": [{}]}',
    '{"a": [{"prefix": "x", "suffix": "y"}]}',
    '{"a": [{"starts-with": "x"}]}',
    '{"a": [{"prefix": 1}]}',
    '{"a": [{"prefix": null}]}',
    '{"a": [{"prefix": ["x"]}]}',
    '{"a": [{"prefix": {"suffix": "x"}}]}',
    '{"a": [{"suffix": {"equals-ignore-case": 1}}]}',
    '{"a": [{"equals-ignore-case": ["x"]}]}',
    '{"a": [{"wildcard": "a**b"}]}',
    r'{"a": [{"wildcard": "a\\b"}]}',
    r'{"a": [{"wildcard": "a\\"}]}',
    '{"a": [{"anything-but": []}]}',
    '{"a": [{"anything-but": null}]}',
    '{"a": [{"anything-but": true}]}',
    '{"a": [{"anything-but": ["x", 1]}]}',
    '{"a": [{"anything-but": [["x"]]}]}',
    '{"a": [{"anything-but": {"numeric": ["=", 1]}}]}',
    '{"a": [{"anything-but": {"prefix": ""}}]}',
    '{"a": [{"anything-but": {"prefix": []}}]}',
    '{"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]}',
    '{"a": [{"numeric": []}]}',
    '{"a": [{"numeric": "=1"}]}',
    '{"a": [{"numeric": ["="]}]}',
    '{"a": [{"numeric": ["=", "1"]}]}',
    '{"a": [{"numeric": ["!=", 1]}]}',
    '{"a": [{"numeric": [[], 1]}]}',
    '{"a": [{"numeric": ["<", 2, ">", 1]}]}',
    '{"a": [{"numeric": [">", 2, "<", 1]}]}',
    '{"a": [{"numeric": [">", 1, "<", 1]}]}',
    '{"a": [{"numeric": ["=", 1, "<", 2]}]}',
    '{"a": [{"numeric": [">", 1, "<", 2, "<", 3]}]}',
    '{"a": [{"numeric": ["<", 5000000001]}]}',
    '{"a": [{"numeric": ["<", 1e999]}]}',
    '{"a": [{"exists": "true"}]}',
    '{"a": [{"exists": 1}]}',
    '{"a": {"exists": true}}',
    '{"a": [{"cidr": "10.0.0.0"}]}',
    '{"a": [{"cidr": "10.0.0.0/33"}]}',
    '{"a": [{"cidr": "10.0.0/24"}]}',
    '{"a": [{"cidr": 10}]}',
    '{"$or": [{"a": ["x"]}]}',
    '{"$or": [{"a": ["x"]}, "y", ["z"]]}',
    '{"$or": [{"a": ["x"]}, {"b": "y"}]}',
    '{"a": ["' + "x" * PATTERN_CHARACTERS + '"]}',
    '{"a": ' * (PATTERN_DEPTH + 1) + '["x"]' + "}" * (PATTERN_DEPTH + 1),
    "[" * PATTERN_CHARACTERS,
]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_no_pattern_is_refused_in_awss_words(pattern: str) -> None:
    with pytest.raises(InvalidParameterValueException) as refused:
        compile_filters(['{"a": ["x"]}', pattern])
    assert refused.value.message == "Invalid filter pattern definition."


@pytest.mark.parametrize(
    ("written", "is_equal"), [("300", True), ("300.0", False), ("3.0e2", False), ('"300"', False), ("[1, 300]", True)]
)
def test_numbers_are_equal_if_they_are_written_alike(written: str, is_equal: bool) -> None:
    document = parse_json(f'{{"a": {written}}}')
    assert compile_filters(['{"a": [300]}']).matches(document) is is_equal


def test_numeric_compares_what_numbers_are_worth_however_they_are_written() -> None:
    filters = compile_filters(['{"a": [{"numeric": ["=", 300]}]}'])
    assert all(filters.matches(parse_json(f'{{"a": {written}}}')) for written in ("300", "300.0", "3.0e2"))


def test_one_of_several_filters_is_enough() -> None:
    filters = compile_filters(['{"a": ["x"]}', '{"b": ["y"]}'])
    assert filters.matches({"b": "y"})
    assert not filters.matches({"a": "y", "b": "x"})


def test_without_filters_everything_matches() -> None:
    assert compile_filters([]).matches({})


def test_the_deepest_pattern_matches_the_deepest_document() -> None:
    pattern = '{"a": ' * PATTERN_DEPTH + '["x"]' + "}" * PATTERN_DEPTH
    document = json.loads('{"a": ' * PATTERN_DEPTH + '"x"' + "}" * PATTERN_DEPTH)
    assert compile_filters([pattern]).matches(document)


def test_arrays_may_be_deeper_than_the_stack() -> None:
    document: Any = "x"
    for _ in range(100_000):
        document = [document]
    filters = compile_filters(['{"a": ["x"], "b": [{"exists": false}]}'])
    assert filters.matches({"a": document})
    while isinstance(document, list):
        document = document.pop()

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.errors import LambdaError
from rie_server.model.arn import FunctionArn
from rie_server.model.caller import Caller
from rie_server.model.policy_decision import allows
from rie_server.model.policy_document import policy_from_document
from rie_server.model.resource_policy import ResourcePolicy

ACTION = "lambda:InvokeFunction"
FAR = Caller(access_key="K", account="111111111111", arn="arn:aws:iam::111111111111:user/K")
S3 = Caller(access_key="S", account="000000000000", arn="s3.amazonaws.com", service="s3.amazonaws.com")
FROM = {"aws:sourcearn": "arn:aws:s3:::photos"}


def decide(caller: Caller | None, *statements: Mapping[str, Any], context: Mapping[str, str] | None = None) -> bool:
    defaults = {"Effect": "Allow", "Principal": "*", "Action": ACTION}
    policy = ResourcePolicy(revision_id="", statements=tuple({**defaults, **one} for one in statements))
    return allows(policy, caller, action=ACTION, context=context or {})


@pytest.mark.parametrize(
    ("principal", "caller", "expected"),
    [
        ("*", None, True),
        ({"AWS": "111111111111"}, None, False),
        ({"AWS": "111111111111"}, FAR, True),
        ({"AWS": ["222222222222", "arn:aws:iam::111111111111:root"]}, FAR, True),
        ({"AWS": ["222222222222"]}, FAR, False),
        ({"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}, S3, True),
        ({"Service": "sns.amazonaws.com"}, S3, False),
        ({"AWS": "*"}, S3, False),
        ({"AWS": "*"}, None, True),
        ({"AWS": ["111111111111", "*"]}, None, True),
        ({"Service": "*"}, None, False),
    ],
)
def test_principals_are_named_alone_or_in_lists(principal: Any, caller: Caller | None, expected: bool) -> None:
    assert decide(caller, {"Principal": principal}) is expected


def test_what_is_denied_to_everybody_is_denied_to_somebody_who_has_not_signed() -> None:
    assert not decide(None, {}, {"Effect": "Deny", "Principal": {"AWS": "*"}})


def test_actions_are_compared_without_their_case() -> None:
    assert decide(FAR, {"Action": "lambda:invokefunction"})
    assert not decide(FAR, {}, {"Effect": "Deny", "Action": "LAMBDA:Invoke*"})


def test_actions_are_named_alone_in_lists_and_by_patterns() -> None:
    assert decide(FAR, {"Action": ["lambda:GetFunction", "lambda:Invoke*"]})
    assert not decide(FAR, {"Action": ["lambda:GetFunction"]})


def test_what_is_denied_no_other_statement_allows() -> None:
    assert not decide(FAR, {}, {"Effect": "Deny", "Principal": {"AWS": "111111111111"}})
    assert decide(FAR, {}, {"Effect": "Deny", "Principal": {"AWS": "222222222222"}})
    assert not decide(FAR, {"Effect": "Deny"})


def test_a_condition_that_cannot_be_judged_never_lets_anybody_in() -> None:
    strange = {"Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}}
    assert not decide(FAR, strange)
    assert not decide(FAR, {}, {"Effect": "Deny", **strange})


def test_of_several_values_of_a_condition_one_is_enough() -> None:
    of_two = {"Condition": {"ArnLike": {"AWS:SourceArn": ["arn:aws:s3:::films", "arn:aws:s3:::photo*"]}}}
    assert decide(S3, of_two, context=FROM)
    assert not decide(S3, of_two, context={"aws:sourcearn": "arn:aws:s3:::music"})
    assert not decide(S3, of_two)


def test_nobody_is_allowed_anything_without_a_policy() -> None:
    assert not allows(None, FAR, action=ACTION, context={})


_TEXT = st.sampled_from(["*", "?", "[", "lambda:InvokeFunction", "StringEquals", "AWS:SourceArn", "AWS", "Service", ""])
_VALUES = st.recursive(
    _TEXT | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Principal": _TEXT | _VALUES, "Action": _TEXT | _VALUES},
    optional={"Condition": st.dictionaries(_TEXT | st.sampled_from(["ArnLike", "Bool"]), _VALUES, max_size=3)},
)


@given(st.lists(_STATEMENTS, min_size=1, max_size=3), st.sampled_from([None, FAR, S3]))
def test_every_policy_that_is_taken_decides(statements: list[dict[str, Any]], caller: Caller | None) -> None:
    function = FunctionArn(region="us-east-1", account="000000000000", name="f")
    try:
        policy = policy_from_document(json.dumps({"Statement": statements}), function, revision_id="")
    except LambdaError:
        return
    decided = allows(policy, caller, action=ACTION, context=FROM)
    assert decided is False or any(one["Effect"] == "Allow" for one in statements)

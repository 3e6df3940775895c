from collections.abc import Mapping
from typing import Any

import pytest

from rie_server.model.caller import Caller
from rie_server.model.policy_decision import allows
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
    ],
)
def test_principals_are_named_alone_or_in_lists(principal: Any, caller: Caller | None, expected: bool) -> None:
    assert decide(caller, {"Principal": principal}) is expected


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

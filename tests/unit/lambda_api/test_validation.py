"""AWS's constraint grammar, over a model of our own that has every kind of member."""

from typing import Any

import pytest

from rie_server.api.lambda_api.service_model import ServiceModel, load_service_model
from rie_server.api.lambda_api.validation import check_input
from rie_server.errors import InvalidParameterValueException, ValidationException

MODEL = ServiceModel(
    {
        "operations": {"Try": {"http": {"method": "POST", "requestUri": "/1"}, "input": {"shape": "Input"}}},
        "shapes": {
            "Input": {
                "type": "structure",
                "required": ["FunctionName"],
                "members": {
                    "FunctionName": {"shape": "Name"},
                    "Size": {"shape": "Size"},
                    "Weight": {"shape": "Weight"},
                    "Mode": {"shape": "Mode"},
                    "Names": {"shape": "Names"},
                    "Weights": {"shape": "Weights"},
                    "Secrets": {"shape": "Secrets"},
                    "KMSKeyArn": {"shape": "Name"},
                    "Inner": {"shape": "Inner"},
                    "Filters": {"shape": "Filters"},
                    "Data": {"shape": "Data"},
                    "Flag": {"shape": "Flag"},
                },
            },
            "Name": {"type": "string", "min": 2, "max": 4, "pattern": "[a-z]+"},
            "Size": {"type": "integer", "min": 1, "max": 10},
            "Weight": {"type": "double", "min": 0.0, "max": 1.0},
            "Mode": {"type": "string", "enum": ["On", "Off"]},
            "Names": {"type": "list", "member": {"shape": "Name"}, "max": 2},
            "Weights": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Weight"}},
            "Secrets": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}, "sensitive": True},
            "Inner": {"type": "structure", "required": ["Mode"], "members": {"Mode": {"shape": "Mode"}}},
            "Filters": {"type": "list", "member": {"shape": "Inner"}},
            "Data": {"type": "blob"},
            "Flag": {"type": "boolean"},
        },
    }
)
NAME = (
    "Member must have length less than or equal to 4, Member must have length greater than or equal to 2, "
    "Member must satisfy regular expression pattern: [a-z]+, Member must not be null"
)


def violations(**members: Any) -> str:
    """What is said about ``members`` beside a right name."""
    with pytest.raises(ValidationException) as error:
        check_input(MODEL, MODEL.operations["Try"], {"FunctionName": "abc", **members})
    return error.value.message


@pytest.mark.parametrize(
    ("members", "violation"),
    [
        ({"FunctionName": None}, "Value null at 'functionName' failed to satisfy constraint: Member must not be null"),
        ({"FunctionName": "a"}, "Value 'a' at 'functionName' …Member must have length greater than or equal to 2"),
        (
            {"FunctionName": "abcde"},
            "Value 'abcde' at 'functionName' …Member must have length less than or equal to 4",
        ),
        (
            {"KMSKeyArn": "AB"},
            "Value 'AB' at 'kMSKeyArn' …Member must satisfy regular expression pattern: [a-z]+",
        ),
        ({"Size": 0}, "Value '0' at 'size' …Member must have value greater than or equal to 1"),
        ({"Size": 11}, "Value '11' at 'size' …Member must have value less than or equal to 10"),
        ({"Weight": 1.5}, "Value '1.5' at 'weight' …Member must have value less than or equal to 1.0"),
        ({"Mode": "Half"}, "Value 'Half' at 'mode' …Member must satisfy enum value set: [On, Off]"),
        ({"Names": ["ab", "c"]}, f"Value '[ab, c]' at 'names' …Member must satisfy constraint: [{NAME}]"),
        ({"Names": ["ab", None]}, f"Value '[ab, null]' at 'names' …Member must satisfy constraint: [{NAME}]"),
        ({"Names": ["ab"] * 3}, "Value '[ab, ab, ab]' at 'names' …Member must have length less than or equal to 2"),
        ({"Weights": {"2": 0.5}}, f"Value '{{2=0.5}}' at 'weights' …Map keys must satisfy constraint: [{NAME}]"),
        (
            {"Weights": {"ab": 2.0}},
            (
                "Value '{ab=2.0}' at 'weights' …Map value must satisfy constraint: "
                "[Member must have value less than or equal to 1.0, "
                "Member must have value greater than or equal to 0.0, Member must not be null]"
            ),
        ),
        ({"Secrets": {"X": "ab"}}, f"Value at 'secrets' …Map keys must satisfy constraint: [{NAME}]"),
        ({"Inner": {}}, "Value null at 'inner.mode' …Member must not be null"),
        ({"Inner": {"Mode": "?"}}, "Value '?' at 'inner.mode' …Member must satisfy enum value set: [On, Off]"),
        (
            {"Filters": [{"Mode": "On"}, {"Mode": "?"}]},
            "Value '?' at 'filters.2.member.mode' …Member must satisfy enum value set: [On, Off]",
        ),
        ({"Filters": [None]}, "Value null at 'filters.1.member.mode' …Member must not be null"),
    ],
)
def test_each_kind_of_violation_has_its_words(members: dict[str, Any], violation: str) -> None:
    expected = violation.replace("…", "failed to satisfy constraint: ")
    assert violations(**members) == f"1 validation error detected: {expected}"


def test_all_violations_are_reported_together() -> None:
    assert violations(FunctionName="A", Size=0) == (
        "3 validation errors detected: "
        "Value 'A' at 'functionName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 2; "
        "Value 'A' at 'functionName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-z]+; "
        "Value '0' at 'size' failed to satisfy constraint: Member must have value greater than or equal to 1"
    )


def test_what_the_model_allows_passes() -> None:
    members = {
        "FunctionName": "abcd",
        "Size": 10,
        "Weight": 0.0,
        "Mode": "Off",
        "Names": [],
        "Weights": {"ab": 1.0},
        "Secrets": {},
        "Inner": {"Mode": "On"},
        "Filters": [],
        "Data": b"",
        "Flag": False,
    }
    check_input(MODEL, MODEL.operations["Try"], members)


def test_a_pattern_must_match_as_a_whole() -> None:
    assert "regular expression" in violations(FunctionName="ab\n")


def test_patterns_with_javas_letter_classes_accept_letters_of_any_script() -> None:
    model = load_service_model()
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    check_input(model, model.operations["TagResource"], {"Resource": arn, "Tags": {"größe 大\u3000": "½ _.:/=+-@"}})
    with pytest.raises(ValidationException):
        check_input(model, model.operations["TagResource"], {"Resource": arn, "Tags": {"a\tb": ""}})


def test_an_unknown_runtime_is_reported_only_when_nothing_else_is_wrong() -> None:
    model = load_service_model()
    operation = model.operations["UpdateFunctionConfiguration"]
    with pytest.raises(InvalidParameterValueException, match="at 'runtime'"):
        check_input(model, operation, {"FunctionName": "f", "Runtime": "cobol"})
    with pytest.raises(ValidationException, match="1 validation error detected: Value '0' at 'timeout'"):
        check_input(model, operation, {"FunctionName": "f", "Runtime": "cobol", "Timeout": 0})

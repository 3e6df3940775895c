"""Resource policies that come as whole documents (PutResourcePolicy).

Pure.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn
from rie_server.model.resource_policy import ResourcePolicy, check_length

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_EFFECTS: Final = ("Allow", "Deny")


def policy_from_document(text: str, function: FunctionArn, *, revision_id: str) -> ResourcePolicy:
    """The policy that ``text`` describes, for ``function`` with its qualifier.

    Raises:
        InvalidParameterValueException: it is no policy, or one for something else.
        PolicyLengthExceededException: it is longer than AWS allows.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed("it is not valid JSON") from None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise _malformed("it has no Statement")
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise _malformed("its Version is not supported")
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    for statement in statements:
        _check_statement(statement, function)
    named = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(named) != len(set(named)):
        raise _malformed("two statements have the same Sid")
    header = {name: value for name, value in document.items() if name != "Statement"}
    policy = ResourcePolicy(revision_id=revision_id, statements=tuple(statements), header=header)
    check_length(policy)
    return policy


def _check_statement(statement: Any, function: FunctionArn) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in _EFFECTS:
        raise _malformed("a statement needs an Effect")
    if not _is_principal(statement.get("Principal")):
        raise _malformed("a statement needs a Principal")
    if not all(isinstance(action, str) and action for action in listed(statement.get("Action"))):
        raise _malformed("an Action must be text")
    if not listed(statement.get("Action")):
        raise _malformed("a statement needs an Action")
    if any(resource != str(function) for resource in listed(statement.get("Resource", str(function)))):
        raise _malformed(f"a Resource must be {function}")
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, dict) or not all(isinstance(one, dict) for one in conditions.values()):
        raise _malformed("a Condition must be a mapping of operators")


def _is_principal(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        texts = [text for values in principal.values() for text in listed(values)]
        return bool(texts) and all(isinstance(text, str) for text in texts)
    return bool(principal == "*")


def listed(value: Any) -> list[Any]:
    """What a policy may give as one value or as a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _malformed(reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"The policy document is malformed: {reason}.")

"""Whether a resource policy lets somebody do something.

Pure. What a statement denies no other allows. A condition that is not known here is not met where it would let somebody
in, and met where it would keep somebody out.
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from typing import Any, Final

from rie_server.model.caller import Caller
from rie_server.model.policy_document import listed
from rie_server.model.resource_policy import ResourcePolicy


def allows(policy: ResourcePolicy | None, caller: Caller | None, *, action: str, context: Mapping[str, str]) -> bool:
    """
    Args:
        policy: that of the very function, version or alias that is called; None where it has none.
        caller: None for somebody who has not signed.
        action: for example ``lambda:InvokeFunction``.
        context: condition keys in lower case, for example ``aws:sourcearn``.
    """
    statements = () if policy is None else policy.statements
    concerned = [
        statement["Effect"]
        for statement in statements
        if _is_principal(statement["Principal"], caller)
        and any(_matches(pattern.lower(), action.lower()) for pattern in listed(statement["Action"]))
        and _conditions_met(statement.get("Condition", {}), context, unknown=statement["Effect"] == "Deny")
    ]
    return "Allow" in concerned and "Deny" not in concerned


def _is_principal(principal: Any, caller: Caller | None) -> bool:
    if principal == "*":
        return True
    if caller is None:
        return "*" in listed(principal.get("AWS"))
    if caller.service is not None:
        return caller.service in listed(principal.get("Service"))
    names = ("*", caller.arn, caller.account, f"arn:aws:iam::{caller.account}:root")
    return any(name in names for name in listed(principal.get("AWS")))


def _conditions_met(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, unknown: bool) -> bool:
    """
    Args:
        unknown: what a condition counts as that cannot be judged.
    """
    return all(
        any(_OPERATORS[operator](str(value), context[key.lower()]) for value in listed(wanted))
        if operator in _OPERATORS and key.lower() in context
        else unknown
        for operator, compared in conditions.items()
        for key, wanted in compared.items()
    )


def _matches(pattern: str, text: str) -> bool:
    """``*`` and ``?`` as in policies; actions and ARNs of Lambda hold no brackets that could mean more."""
    return re.fullmatch(translate(pattern.replace("[", "[[]")), text) is not None


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
}

"""Whether a resource policy lets somebody do something.

Pure. Statements allow only: those that AddPermission makes. A condition that is not known here is not met, so that
nobody is let in by mistake.
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from typing import Any, Final

from rie_server.model.caller import Caller
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
    return any(
        statement["Effect"] == "Allow"
        and _is_principal(statement["Principal"], caller)
        and _matches(statement["Action"], action)
        and _conditions_met(statement.get("Condition", {}), context)
        for statement in statements
    )


def _is_principal(principal: Any, caller: Caller | None) -> bool:
    if principal == "*":
        return True
    if caller is None:
        return False
    if caller.service is not None:
        return bool(caller.service == principal.get("Service"))
    return principal.get("AWS") in ("*", caller.arn, f"arn:aws:iam::{caller.account}:root")


def _conditions_met(conditions: Mapping[str, Mapping[str, str]], context: Mapping[str, str]) -> bool:
    return all(
        operator in _OPERATORS and key.lower() in context and _OPERATORS[operator](wanted, context[key.lower()])
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

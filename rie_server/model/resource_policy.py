"""The resource policy of a function, a version or an alias: who else may use it.

Pure: from a policy and the members of AddPermission or RemovePermission to the next policy. Policies are kept and
shown, in AWS's form and order of members; nothing is refused to anybody because of them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rie_server.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from rie_server.limits import RESOURCE_POLICY_BYTES
from rie_server.model.arn import FunctionArn

_SERVICE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com|amazonaws\.com\.cn|amazon\.com)")
_ACCOUNT: Final = re.compile(r"\d{12}")
_IDENTITY: Final = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(\d{12}|cloudfront):[a-z-]+(/[\w+=,.@:/-]+)?")

# What a condition compares with a member of the request: operator, key, member.
_CONDITIONS: Final = (
    ("StringEquals", "lambda:FunctionUrlAuthType", "FunctionUrlAuthType"),
    ("StringEquals", "AWS:SourceAccount", "SourceAccount"),
    ("StringEquals", "lambda:EventSourceToken", "EventSourceToken"),
    ("StringEquals", "aws:PrincipalOrgID", "PrincipalOrgID"),
    ("ArnLike", "AWS:SourceArn", "SourceArn"),
    ("Bool", "lambda:InvokedViaFunctionUrl", "InvokedViaFunctionUrl"),
)


_HEADER: Final[Mapping[str, Any]] = {"Version": "2012-10-17", "Id": "default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """
    Attributes:
        statements: as documents, in the order in which they were added; never empty.
        header: what the document says beside them.
    """

    revision_id: str
    statements: tuple[Mapping[str, Any], ...]
    header: Mapping[str, Any] = field(default_factory=lambda: _HEADER)

    def document(self) -> str:
        """``Policy`` of GetPolicy."""
        return _json({**self.header, "Statement": list(self.statements)})


def permission_statement(function: FunctionArn, members: Mapping[str, Any]) -> dict[str, Any]:
    """The statement that the members of AddPermission make, for ``function`` with its qualifier.

    Raises:
        InvalidParameterValueException: a principal that cannot be one.
    """
    statement: dict[str, Any] = {
        "Sid": members["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(members["Principal"], members.get("PrincipalOrgID")),
        "Action": members["Action"],
        "Resource": str(function),
    }
    conditions: dict[str, dict[str, str]] = {}
    for operator, key, member in _CONDITIONS:
        value = members.get(member)
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            conditions.setdefault(operator, {})[key] = text
    return {**statement, "Condition": conditions} if conditions else statement


def statement_json(statement: Mapping[str, Any]) -> str:
    """``Statement`` of AddPermission."""
    return _json(statement)


def with_statement(
    policy: ResourcePolicy | None,
    statement: Mapping[str, Any],
    expected: str | None,
    *,
    revision_id: str,
    read_by: str = "GetPolicy",
) -> ResourcePolicy:
    """``policy`` with one more statement.

    Args:
        expected: the revision id that the caller knows, or None.
        read_by: what AWS tells who has a stale revision id to call.

    Raises:
        ResourceConflictException: there is a statement of this id.
        PreconditionFailedException: ``expected`` is not the latest revision id.
        PolicyLengthExceededException: it would be longer than AWS allows.
    """
    statements = () if policy is None else policy.statements
    if any(one.get("Sid") == statement["Sid"] for one in statements):
        raise ResourceConflictException(
            f"The statement id ({statement['Sid']}) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        )
    check_revision(policy, expected, read_by)
    header = _HEADER if policy is None else policy.header
    extended = ResourcePolicy(revision_id=revision_id, statements=(*statements, statement), header=header)
    check_length(extended)
    return extended


def check_length(policy: ResourcePolicy) -> None:
    """
    Raises:
        PolicyLengthExceededException: it is longer than AWS allows.
    """
    length_bytes = len(policy.document().encode())
    if length_bytes > RESOURCE_POLICY_BYTES:
        raise PolicyLengthExceededException(
            f"The final policy size ({length_bytes}) is bigger than the limit ({RESOURCE_POLICY_BYTES})."
        )


def without_statement(
    policy: ResourcePolicy | None,
    statement_id: str,
    expected: str | None,
    *,
    revision_id: str,
    read_by: str = "GetPolicy",
) -> ResourcePolicy | None:
    """``policy`` without a statement; None when that was the last one.

    Raises:
        ResourceNotFoundException: there is no policy, or no such statement in it.
        PreconditionFailedException: ``expected`` is not the latest revision id.
    """
    if policy is None:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    kept = tuple(one for one in policy.statements if one.get("Sid") != statement_id)
    if len(kept) == len(policy.statements):
        raise ResourceNotFoundException(f"Statement {statement_id} is not found in resource policy.")
    check_revision(policy, expected, read_by)
    return replace(policy, revision_id=revision_id, statements=kept) if kept else None


def check_revision(policy: ResourcePolicy | None, expected: str | None, read_by: str) -> None:
    """
    Raises:
        PreconditionFailedException: ``expected`` is given and is not the latest revision id.
    """
    if expected is not None and (policy is None or expected != policy.revision_id):
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            f"Call the {read_by} API to retrieve the latest Revision Id"
        )


def _principal(principal: str, organization: str | None) -> str | dict[str, str]:
    if principal == "*":
        return principal
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    if _IDENTITY.fullmatch(principal):
        return {"AWS": principal}
    if _SERVICE.fullmatch(principal) and organization is None:
        return {"Service": principal}
    raise InvalidParameterValueException(
        "The provided principal was invalid. Please check the principal and try again."
    )


def _json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

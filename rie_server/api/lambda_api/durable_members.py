"""What the operations on durable executions read from their members. Pure."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Scope
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.limits import DURABLE_PAGE_DEFAULT
from rie_server.model.durable_names import DurableArn, parse_durable_arn


def execution_arn(scope: Scope, members: Mapping[str, Any]) -> DurableArn:
    """``DurableExecutionArn``.

    Raises:
        ResourceNotFoundException: of another region or account.
        InvalidParameterValueException: no such ARN.
    """
    arn = parse_durable_arn(members["DurableExecutionArn"])
    if arn is None:
        raise InvalidParameterValueException("Invalid Durable Execution ARN")
    if (arn.function.region, arn.function.account) != (scope.region, scope.account):
        raise ResourceNotFoundException("Durable Execution does not exist")
    return arn


def page_size(members: Mapping[str, Any]) -> int:
    """``MaxItems``; 0 asks for the default."""
    return members.get("MaxItems") or DURABLE_PAGE_DEFAULT


def marker_of(*parts: object) -> str:
    """A marker that says where the next page begins."""
    return base64.urlsafe_b64encode("\n".join(str(part) for part in parts).encode()).decode()


def read_marker(members: Mapping[str, Any], *, parts: int) -> list[str] | None:
    """What ``marker_of`` was told; None without a marker.

    Raises:
        InvalidParameterValueException: a marker that no list has given.
    """
    marker = members.get("Marker")
    if not marker:
        return None
    try:
        found = base64.b64decode(marker, altchars=b"-_", validate=True).decode().split("\n")
    except (binascii.Error, ValueError):
        found = []
    if len(found) != parts:
        raise InvalidParameterValueException("Invalid Marker")
    return found


def marked_number(members: Mapping[str, Any]) -> int | None:
    """The number that a marker says.

    Raises:
        InvalidParameterValueException: a marker that no list has given.
    """
    found = read_marker(members, parts=1)
    if found is None:
        return None
    if not (found[0].isascii() and found[0].isdecimal()):
        raise InvalidParameterValueException("Invalid Marker")
    return int(found[0])

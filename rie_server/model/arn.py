"""Names of functions: what a path may say and what it means.

Pure. AWS accepts a name (``orders``), a partial ARN (``000000000000:function:orders``) or a full ARN in every path that
takes a FunctionName, each with an optional ``:qualifier`` (botocore's service model, shape ``NamespacedFunctionName``).
"""

import re
from dataclasses import dataclass, replace

from rie_server.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)

LATEST = "$LATEST"

_REFERENCE = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionArn:
    """A function in one region of one account; ``qualifier`` is a version, an alias or None, as the caller asked."""

    region: str
    account: str
    name: str
    qualifier: str | None = None

    def __hash__(self) -> int:
        # Every invocation looks functions up several times, and a text remembers its hash.
        return hash(self.name) if self.qualifier is None else hash(self.name) ^ hash(self.qualifier)

    def __str__(self) -> str:
        base = f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"
        return base if self.qualifier is None else f"{base}:{self.qualifier}"

    @property
    def unqualified(self) -> "FunctionArn":
        return self if self.qualifier is None else replace(self, qualifier=None)

    def qualified(self, qualifier: str) -> "FunctionArn":
        return replace(self, qualifier=qualifier)


def parse_function_reference(reference: str, *, qualifier: str | None, region: str, account: str) -> FunctionArn:
    """The function that ``reference`` (name, partial or full ARN) and the ``Qualifier`` parameter mean together.

    Args:
        reference: the FunctionName of the path, already URL-decoded and valid by the service model's pattern.
        qualifier: the ``Qualifier`` parameter, or None.
        region: the caller's region; an ARN of another one is not reachable from here.
        account: the caller's account, for references that name none.

    Raises:
        InvalidParameterValueException: the reference carries one qualifier and the parameter another.
        ResourceNotFoundException: the ARN is of another region.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise InvalidParameterValueException(f"The function name {reference} is not valid.")
    derived = match["qualifier"]
    if derived is not None and qualifier is not None and derived != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    if match["region"] is not None and match["region"] != region:
        raise ResourceNotFoundException(
            f"Functions from '{match['region']}' are not reachable in this region ('{region}')"
        )
    return FunctionArn(
        region=region,
        account=match["account"] or account,
        name=match["name"],
        qualifier=qualifier if qualifier is not None else derived,
    )

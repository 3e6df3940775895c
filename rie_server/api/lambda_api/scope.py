"""Who asks for what, apart from the members of the operation itself.

Pure data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.durable.executions import DurableExecutions
from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.registry.functions import FunctionRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One call of an operation.

    Attributes:
        base_url: by which the caller reached this server, for links that it is to follow.
    """

    registry: FunctionRegistry
    mappings: EventSourceMappings
    durable: DurableExecutions
    region: str
    account: str
    request_id: str
    base_url: str

    def function(self, members: Mapping[str, Any]) -> FunctionArn:
        """The function that ``FunctionName`` and ``Qualifier`` mean together."""
        return parse_function_reference(
            members["FunctionName"],
            qualifier=members.get("Qualifier"),
            region=self.region,
            account=self.account,
        )


def unqualified_only(function: FunctionArn) -> FunctionArn:
    """``function``, for an operation that knows neither versions nor aliases.

    Raises:
        InvalidParameterValueException: it has a qualifier.
    """
    if function.qualifier is not None:
        raise InvalidParameterValueException(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN."
        )
    return function


# One operation: from its validated members to the members of its output.
Operation = Callable[[Scope, Mapping[str, Any]], Mapping[str, Any]]

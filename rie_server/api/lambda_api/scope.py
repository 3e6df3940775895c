"""Who asks for what, apart from the members of the operation itself.

Pure data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.durable.executions import DurableExecutions
from rie_server.errors import AccessDeniedException, InvalidParameterValueException
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.caller import Caller
from rie_server.model.policy_decision import allows
from rie_server.model.stored_resource import ResourceArn, resource_arn
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.registry.functions import FunctionRegistry
from rie_server.registry.stored_resources import unknown_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One call of an operation.

    Attributes:
        operation: for example ``GetFunction``.
        is_authorized: the caller's right to use the function has been checked already, by IAM's rules.
        base_url: by which the caller reached this server, for links that it is to follow.
    """

    registry: FunctionRegistry
    mappings: EventSourceMappings
    durable: DurableExecutions
    region: str
    account: str
    operation: str
    is_authorized: bool
    request_id: str
    base_url: str

    def function(self, members: Mapping[str, Any]) -> FunctionArn:
        """The function that ``FunctionName`` and ``Qualifier`` mean together.

        Raises:
            AccessDeniedException: it is another account's, whose policy does not allow this operation.
        """
        function = parse_function_reference(
            members["FunctionName"],
            qualifier=members.get("Qualifier"),
            region=self.region,
            account=self.account,
        )
        self.check_account(function)
        return function

    def resource(self, reference: str, kind: str) -> ResourceArn:
        """The code signing configuration or capacity provider that a name or an ARN means.

        Raises:
            ResourceNotFoundException: it is of another region or account.
        """
        arn = resource_arn(reference, kind, region=self.region, account=self.account)
        if (arn.region, arn.account) != (self.region, self.account):
            raise unknown_resource(arn)
        return arn

    def check_account(self, function: FunctionArn) -> None:
        """Lets a function pass that the caller may use.

        Raises:
            AccessDeniedException: it is another account's, whose policy does not allow this operation.
        """
        if function.account == self.account or self.is_authorized:
            return
        action, user = f"lambda:{self.operation}", f"arn:aws:iam::{self.account}:root"
        caller = Caller(access_key="", account=self.account, arn=user)
        if not allows(self.registry.policies.find(function), caller, action=action, context={}):
            raise AccessDeniedException(
                f"User: {user} is not authorized to perform: {action} on resource: {function} "
                f"because no resource-based policy allows the {action} action"
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

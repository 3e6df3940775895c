"""Who may use which operation where the server goes by IAM (``RIE_AUTH=iam``).

Every request must be signed. A principal of the account that owns the function is allowed everything: there are no
identity policies here. Somebody of another account, and an AWS service, needs the resource policy of the very function,
version or alias, as in AWS.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from rie_server.api.authentication import Authentication
from rie_server.api.exchange import Request
from rie_server.api.lambda_api.rendering import signed_scope
from rie_server.config import Settings
from rie_server.errors import AccessDeniedException, LambdaError
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.caller import Caller
from rie_server.model.policy_decision import allows
from rie_server.model.resource_policy import ResourcePolicy

# Operations whose action has another name.
_ACTIONS: Final = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}


class Authorization:
    """
    Args:
        policy: that of exactly this function, version or alias, or None.
    """

    def __init__(
        self,
        *,
        authentication: Authentication,
        policy: Callable[[FunctionArn], ResourcePolicy | None],
        settings: Settings,
    ) -> None:
        self._authentication = authentication
        self._policy = policy
        self._settings = settings

    def check(self, request: Request, operation: str, reference: str | None, qualifier: str | None) -> Caller:
        """Lets a request pass, and sets its scope: the world in which names are looked up is that of the credential
        that has signed, whatever else the request may name.

        Args:
            reference: the FunctionName of the path, if the operation has one.

        Raises:
            LambdaError: of status 403, in AWS's words.
        """
        caller, signed_region = self._authentication.signed(request)
        region, account = request.scope = signed_scope(caller.access_key, signed_region, self._settings)
        function = None if reference is None else self._function(reference, qualifier, region, account)
        owner = account if function is None else function.account
        if caller.service is None and caller.account == owner:
            return caller
        action = f"lambda:{_ACTIONS.get(operation, operation)}"
        if function is None or not allows(
            self._policy(function), caller, action=action, context=_context(request, caller)
        ):
            resource = "*" if function is None else str(function)
            raise AccessDeniedException(
                f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no resource-based policy allows the {action} action"
            )
        return caller

    def _function(self, reference: str, qualifier: str | None, region: str, account: str) -> FunctionArn | None:
        try:
            return parse_function_reference(unquote(reference), qualifier=qualifier, region=region, account=account)
        except LambdaError:
            return None  # it means no function: whoever may, hears why from the operation


def _context(request: Request, caller: Caller) -> dict[str, str]:
    """What conditions compare. A service says for which of its resources it calls; nobody else is believed."""
    if caller.service is None:
        return {}
    named = {"aws:sourcearn": "x-amz-source-arn", "aws:sourceaccount": "x-amz-source-account"}
    context = {key: request.headers[header] for key, header in named.items() if header in request.headers}
    token = request.headers.get("x-amz-event-source-token")
    return context if token is None else {**context, "lambda:eventsourcetoken": token}

"""Who may call a function URL.

AWS: "Control access to Lambda function URLs". A principal of the function's own account needs no resource policy. A
URL of AuthType NONE asks for one only where the server was told to go by IAM (``RIE_AUTH=iam``).
"""

from collections.abc import Callable

from rie_server.api.authentication import Authentication
from rie_server.api.exchange import Request
from rie_server.api.signature_errors import MissingAuthenticationTokenException
from rie_server.errors import AccessDeniedException, LambdaError
from rie_server.model.arn import FunctionArn
from rie_server.model.caller import Caller
from rie_server.model.function_url import AuthType, FunctionUrl
from rie_server.model.policy_decision import allows
from rie_server.model.resource_policy import ResourcePolicy

ACTION = "lambda:InvokeFunctionUrl"


class Permission:
    """
    Args:
        policy: that of exactly this function or alias, or None.
        enforced: whether URLs without authentication need a policy that opens them.
    """

    def __init__(
        self,
        *,
        authentication: Authentication,
        policy: Callable[[FunctionArn], ResourcePolicy | None],
        enforced: bool,
    ) -> None:
        self._authentication = authentication
        self._policy = policy
        self._enforced = enforced

    def caller(self, request: Request, function: FunctionArn, url: FunctionUrl) -> Caller | None:
        """Who has signed; None for a URL that asks nobody.

        Raises:
            LambdaError: of status 403; the call is not allowed.
        """
        if url.auth_type is AuthType.NONE:
            if self._enforced and not self._allows(None, function, url):
                raise AccessDeniedException("Forbidden")
            return None
        try:
            caller = self._authentication.caller(request)
        except MissingAuthenticationTokenException:
            raise AccessDeniedException("Forbidden") from None
        except LambdaError as error:
            raise AccessDeniedException(error.message) from None
        is_own = caller.service is None and caller.account == function.account
        if not is_own and not self._allows(caller, function, url):
            raise AccessDeniedException("Forbidden")
        return caller

    def _allows(self, caller: Caller | None, function: FunctionArn, url: FunctionUrl) -> bool:
        context = {"lambda:functionurlauthtype": str(url.auth_type), "lambda:invokedviafunctionurl": "true"}
        return allows(self._policy(function), caller, action=ACTION, context=context)

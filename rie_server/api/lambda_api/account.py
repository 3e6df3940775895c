"""The operations on the account: what it may use, and what it uses."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES


def get_account_settings(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001  # it has none
    storage = scope.registry.storage
    return {
        "AccountLimit": {
            "TotalCodeSize": storage.limit_bytes,
            "CodeSizeUnzipped": UNZIPPED_BYTES,
            "CodeSizeZipped": ZIP_BYTES,
            "ConcurrentExecutions": scope.registry.concurrency_limit,
            "UnreservedConcurrentExecutions": scope.registry.invoke_settings.unreserved_concurrency,
        },
        "AccountUsage": {
            "TotalCodeSize": storage.used_bytes(scope.region, scope.account),
            "FunctionCount": len(scope.registry.list(region=scope.region, account=scope.account)),
        },
    }


OPERATIONS: Mapping[str, Operation] = {"GetAccountSettings": get_account_settings}

"""The operations on the account: what it may use, and what it uses."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import CODE_STORAGE_BYTES, UNZIPPED_BYTES, ZIP_BYTES


def get_account_settings(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001  # it has none
    records = scope.registry.list(region=scope.region, account=scope.account)
    limit = scope.registry.concurrency_limit
    return {
        "AccountLimit": {
            "TotalCodeSize": CODE_STORAGE_BYTES,
            "CodeSizeUnzipped": UNZIPPED_BYTES,
            "CodeSizeZipped": ZIP_BYTES,
            "ConcurrentExecutions": limit,
            "UnreservedConcurrentExecutions": scope.registry.invoke_settings.unreserved_concurrency,
        },
        "AccountUsage": {
            "TotalCodeSize": sum(record.code_bytes for record in records),
            "FunctionCount": len(records),
        },
    }


OPERATIONS: Mapping[str, Operation] = {"GetAccountSettings": get_account_settings}

"""Tenant isolation: which invocations must say whose they are, and which must not.

Pure. Set at creation (``TenancyConfig``) and never changed. AWS offers it for nothing that would start an environment
before its tenant is known.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.errors import InvalidParameterValueException
from rie_server.model.function import FunctionVersion


def check_tenant(function: FunctionVersion, tenant_id: str | None) -> None:
    """Lets an invocation of ``function`` be the one of ``tenant_id``.

    Raises:
        InvalidParameterValueException: the function keeps tenants apart and there is none, or the other way round.
    """
    if function.tenant_isolated and tenant_id is None:
        raise InvalidParameterValueException(
            "The invoked function is enabled with tenancy configuration. "
            "Add a valid tenant ID in your request and try again."
        )
    if tenant_id is not None and not function.tenant_isolated:
        raise InvalidParameterValueException(
            "The invoked function is not enabled with tenancy configuration. "
            "Remove the tenant ID from your request and try again."
        )


def check_tenancy(configuration: Mapping[str, Any]) -> None:
    """Lets a function with this configuration be made.

    Raises:
        InvalidParameterValueException: it keeps tenants apart, and has SnapStart.
    """
    if configuration.get("TenancyConfig") and configuration["SnapStart"]["ApplyOn"] == "PublishedVersions":
        raise InvalidParameterValueException("SnapStart is not supported for functions with tenant isolation mode.")


def check_url(configuration: Mapping[str, Any]) -> None:
    """Lets a function with this configuration have a URL.

    Raises:
        InvalidParameterValueException: it keeps tenants apart, and nobody who calls a URL says whose he is.
    """
    if configuration.get("TenancyConfig"):
        raise InvalidParameterValueException(
            "Function URLs are not supported for functions with tenant isolation mode."
        )

"""Lambda Managed Instances: functions whose environments run several invocations at a time.

Pure. This server has no instances to manage: such a function runs where all others do. What it is to its code is as in
AWS: ``AWS_LAMBDA_MAX_CONCURRENCY``, and a runtime that asks for that many invocations at once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException

# What AWS lets a runtime have for each processor unless the function says otherwise.
_DEFAULTS: Final[Mapping[str, int]] = {"nodejs": 64, "java": 32, "dotnet": 32, "python": 16}
_OTHERS: Final = 16
_MAXIMUM: Final = 1600
_MB_PER_GB: Final = 1024
_GB_PER_PROCESSOR: Final = 2.0


def max_concurrency(configuration: Mapping[str, Any]) -> int | None:
    """How many invocations run in one environment; None for a function that is none of these."""
    config = _instances(configuration)
    if config is None:
        return None
    wanted = config.get("PerExecutionEnvironmentMaxConcurrency")
    if wanted is not None:
        return int(wanted)
    family = re.match(r"[a-z]*", configuration.get("Runtime") or "")
    per_processor = _DEFAULTS.get(family[0] if family else "", _OTHERS)
    gigabytes = configuration["MemorySize"] / _MB_PER_GB
    processors = max(1, int(gigabytes / config.get("ExecutionEnvironmentMemoryGiBPerVCpu", _GB_PER_PROCESSOR)))
    return min(per_processor * processors, _MAXIMUM)


def check_managed_instances(configuration: Mapping[str, Any]) -> None:
    """Lets a function have this configuration.

    Raises:
        InvalidParameterValueException: it has a capacity provider, and something that AWS does not offer with one.
    """
    if _instances(configuration) is None:
        return
    if configuration["SnapStart"]["ApplyOn"] == "PublishedVersions":
        raise _not_supported("SnapStart")
    if configuration.get("TenancyConfig"):
        raise _not_supported("Tenant isolation mode")


def _instances(configuration: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = configuration.get("CapacityProviderConfig") or {}
    found: Mapping[str, Any] | None = config.get("LambdaManagedInstancesCapacityProviderConfig")
    return found


def _not_supported(what: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"{what} is not supported for functions with a capacity provider.")

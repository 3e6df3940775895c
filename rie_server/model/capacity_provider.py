"""Capacity providers of Lambda Managed Instances: what AWS fills in, and which functions belong to one.

Pure. They are kept and shown; functions run on this machine all the same.
"""

from collections.abc import Mapping
from typing import Any, Final

from rie_server.model.function_record import Deployment
from rie_server.model.stored_resource import StoredResource

# Under which name a version's scaling configuration is among the function's stored settings.
SCALING_SETTING: Final = "FunctionScalingConfig"

_KEPT: Final = (
    "VpcConfig",
    "PermissionsConfig",
    "InstanceRequirements",
    "CapacityProviderScalingConfig",
    "KmsKeyArn",
    "PropagateTags",
    "TelemetryConfig",
)
_CHANGEABLE: Final = ("CapacityProviderScalingConfig", "PropagateTags", "TelemetryConfig")
_SCALING_DEFAULTS: Final[Mapping[str, Any]] = {"MaxVCpuCount": 400, "ScalingMode": "Auto"}


def new_provider_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the members of CreateCapacityProvider."""
    kept = {name: members[name] for name in _KEPT if name in members}
    kept["InstanceRequirements"] = {"Architectures": ["x86_64"], **kept.get("InstanceRequirements", {})}
    kept["CapacityProviderScalingConfig"] = {**_SCALING_DEFAULTS, **kept.get("CapacityProviderScalingConfig", {})}
    return kept


def changed_provider_members(before: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    """``before`` with the members of UpdateCapacityProvider; each replaces what it was as a whole."""
    changed = {name: members[name] for name in _CHANGEABLE if name in members}
    if "CapacityProviderScalingConfig" in changed:
        changed["CapacityProviderScalingConfig"] = {**_SCALING_DEFAULTS, **changed["CapacityProviderScalingConfig"]}
    return {**before, **changed}


def describe_provider(provider: StoredResource, *, state: str = "Active") -> dict[str, Any]:
    """``CapacityProvider``."""
    return {
        "CapacityProviderArn": str(provider.arn),
        "State": state,
        "LastModified": provider.last_modified,
        **provider.members,
    }


def provider_of(deployment: Deployment) -> str | None:
    """The ARN of the capacity provider that a deployment names."""
    config = deployment.configuration.get("CapacityProviderConfig", {})
    arn = config.get("LambdaManagedInstancesCapacityProviderConfig", {}).get("CapacityProviderArn")
    return None if arn is None else str(arn)

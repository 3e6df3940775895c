"""A function as the API shows it: which members are there, and which are absent, in which state.

Pure. The set of members is the one recorded from AWS.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from rie_server.model.function_record import FunctionRecord, State
from rie_server.model.snap_start import is_on

# What ListFunctions leaves out: a caller that wants to know asks for the one function.
_NOT_LISTED: Final = (
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "RuntimeVersionConfig",
)
# Shown as they are stored, and absent when they are not set.
_ECHOED: Final = (
    "Runtime",
    "Handler",
    "Role",
    "Description",
    "Timeout",
    "MemorySize",
    "Architectures",
    "EphemeralStorage",
    "Environment",
    "TracingConfig",
    "LoggingConfig",
    "TenancyConfig",
    "DurableConfig",
    "CapacityProviderConfig",
)


def describe(record: FunctionRecord, *, qualifier: str | None = None) -> dict[str, Any]:
    """``FunctionConfiguration`` of the version that ``record`` is about; ``qualifier`` is what the caller asked for: a
    version or an alias, which the ARN then ends in.
    """
    configuration, code, life = record.current.configuration, record.current.code, record.life
    shown: dict[str, Any] = {
        "FunctionName": record.arn.name,
        "FunctionArn": str(record.arn if qualifier is None else record.arn.qualified(qualifier)),
        "Version": record.version,
        "PackageType": code.package_type,
        "CodeSize": code.size_bytes,
        "CodeSha256": code.sha256 or None,
        "LastModified": record.last_modified,
        "RevisionId": record.revision_id,
        "State": life.state,
        "StateReason": life.state_reason,
        "StateReasonCode": life.state_reason_code,
        "LastUpdateStatus": life.update_status,
        "LastUpdateStatusReason": life.update_reason,
        "LastUpdateStatusReasonCode": life.update_reason_code,
        "SnapStart": {**configuration["SnapStart"], "OptimizationStatus": _optimization(record)},
    }
    shown.update({name: configuration[name] for name in _ECHOED if name in configuration})
    shown.update(_set_members(configuration))
    if record.current.layers:
        shown["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.size_bytes} for layer in record.current.layers]
    if code.package_type == "Zip":
        shown["RuntimeVersionConfig"] = {"RuntimeVersionArn": _runtime_version(record)}
    return {name: value for name, value in shown.items() if value is not None}


def describe_in_list(record: FunctionRecord, *, qualified: bool) -> dict[str, Any]:
    """The shorter form of ListFunctions and ListVersionsByFunction."""
    shown = describe(record, qualifier=record.version if qualified else None)
    return {name: value for name, value in shown.items() if name not in _NOT_LISTED}


def describe_code(record: FunctionRecord, location: str) -> dict[str, Any]:
    """``Code`` of GetFunction; ``location`` is where a zip can be downloaded."""
    code = record.current.code
    if code.package_type == "Zip":
        key = record.current.configuration.get("SourceKMSKeyArn")
        return {"RepositoryType": "S3", "Location": location, **({"SourceKMSKeyArn": key} if key else {})}
    shown: dict[str, Any] = {"RepositoryType": "ECR", "ImageUri": code.image_uri}
    if code.image_digest is not None and code.image_uri is not None:
        shown["ResolvedImageUri"] = f"{_repository(code.image_uri)}@{code.image_digest}"
    return shown


def describe_concurrency(record: FunctionRecord) -> dict[str, Any] | None:
    """``Concurrency`` of GetFunction: absent unless something is reserved; 0 is something."""
    reserved = record.reserved_concurrency
    return None if reserved is None else {"ReservedConcurrentExecutions": reserved}


def _set_members(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Members that are shown only when they say something, some in another form than they came."""
    shown: dict[str, Any] = {}
    vpc = configuration.get("VpcConfig", {})
    if vpc.get("SubnetIds") or vpc.get("SecurityGroupIds"):
        shown["VpcConfig"] = {"Ipv6AllowedForDualStack": False, "VpcId": "", **vpc}
    if configuration.get("DeadLetterConfig", {}).get("TargetArn"):
        shown["DeadLetterConfig"] = configuration["DeadLetterConfig"]
    for name in ("KMSKeyArn", "FileSystemConfigs"):
        if configuration.get(name):
            shown[name] = configuration[name]
    if configuration.get("ImageConfig"):
        shown["ImageConfigResponse"] = {"ImageConfig": configuration["ImageConfig"]}
    return shown


def _optimization(record: FunctionRecord) -> str:
    is_active = record.life.state is State.ACTIVE
    return "On" if is_active and is_on(record.current.configuration, record.version) else "Off"


def _runtime_version(record: FunctionRecord) -> str:
    """AWS names a runtime's build by a digest; ours stands for the runtime's name."""
    runtime = record.current.configuration["Runtime"]
    return f"arn:aws:lambda:{record.arn.region}::runtime:{hashlib.sha256(runtime.encode()).hexdigest()}"


def _repository(image_uri: str) -> str:
    """``host:5000/name`` of ``host:5000/name:tag`` or ``host:5000/name@sha256:...``."""
    name = image_uri.split("@", 1)[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.split(':', 1)[0]}"

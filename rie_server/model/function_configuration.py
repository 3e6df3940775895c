"""What a function's configuration may be: AWS's defaults, quotas and exact refusals.

Pure. Input has the API's member names and has already passed the service model's constraints; a configuration is the
same members with every default filled in.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException, NotImplementedException
from rie_server.limits import (
    ENVIRONMENT_BYTES,
    EPHEMERAL_STORAGE_MB_DEFAULT,
    EPHEMERAL_STORAGE_MB_MAXIMUM,
    FUNCTION_NAME_CHARACTERS,
    MANAGED_MEMORY_MB_MAXIMUM,
    MEMORY_MB_DEFAULT,
    MEMORY_MB_MAXIMUM,
    TIMEOUT_SECONDS_DEFAULT,
    TIMEOUT_SECONDS_MAXIMUM,
)
from rie_server.model.arn import FunctionArn
from rie_server.model.destination_arn import check_dead_letter
from rie_server.model.durable_config import changed_config, created_config, durable_defaults
from rie_server.model.function_code import refuse_publish_to
from rie_server.model.managed_instances import check_managed_instances
from rie_server.model.runtimes import check_not_deprecated
from rie_server.model.snap_start import check_snap_start
from rie_server.model.tenancy import check_tenancy

_RESERVED_VARIABLES: Final = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_LEVEL",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    }
)

# Members that only pass through: kept as they came and shown again.
_STORED: Final = (
    "Runtime",
    "Handler",
    "Role",
    "Description",
    "Timeout",
    "MemorySize",
    "Architectures",
    "EphemeralStorage",
    "Environment",
    "VpcConfig",
    "DeadLetterConfig",
    "KMSKeyArn",
    "TracingConfig",
    "FileSystemConfigs",
    "ImageConfig",
    "Layers",
    "SnapStart",
    "TenancyConfig",
    "DurableConfig",
    "CapacityProviderConfig",
)
_NESTED_DEFAULTS: Final = {"TracingConfig": {"Mode": "PassThrough"}, "SnapStart": {"ApplyOn": "None"}}
# Members that would make a function behave differently in ways that this server does not offer.
_NOT_OFFERED: Final = ("RuntimeConfig", "AcceleratorConfig")


def new_configuration(arn: FunctionArn, members: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a function that is being created.

    Raises:
        InvalidParameterValueException: in AWS's words.
        NotImplementedException: a member that this server cannot honour.
    """
    _check_name(arn, members)
    _check_packaging(members.get("PackageType", "Zip"), members, creating=True)
    durable = {}
    if "DurableConfig" in members:
        members = {**members, "DurableConfig": created_config(members["DurableConfig"])}
        durable = durable_defaults(arn.name, members["DurableConfig"])
    defaults: dict[str, Any] = {
        "Description": "",
        "Timeout": TIMEOUT_SECONDS_DEFAULT,
        "MemorySize": MEMORY_MB_DEFAULT,
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": EPHEMERAL_STORAGE_MB_DEFAULT},
        **_NESTED_DEFAULTS,
        "LoggingConfig": logging_configuration(arn.name, {}),
        **durable,
    }
    return configuration_for_code(_merged(arn, defaults, members), members.get("Code", {}))


def changed_configuration(
    arn: FunctionArn, package_type: str, current: Mapping[str, Any], members: Mapping[str, Any]
) -> dict[str, Any]:
    """``current`` with the members of an UpdateFunctionConfiguration; what is not mentioned stays.

    Raises:
        InvalidParameterValueException: in AWS's words.
        NotImplementedException: a member that this server cannot honour.
    """
    _check_packaging(package_type, members, creating=False)
    if "DurableConfig" in members:
        config = changed_config(current.get("DurableConfig"), members["DurableConfig"])
        members = {**members, "DurableConfig": config}
    return _merged(arn, current, members)


def configuration_for_code(current: Mapping[str, Any], code_members: Mapping[str, Any]) -> dict[str, Any]:
    """``current`` with what comes with new code: its architecture, and the key of a package that is encrypted."""
    changed = {name: value for name, value in current.items() if name != "SourceKMSKeyArn"}
    changed.update({name: code_members[name] for name in ("Architectures", "SourceKMSKeyArn") if name in code_members})
    return changed


def logging_configuration(function_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """``LoggingConfig`` as a whole: it is replaced, never merged. Levels exist for JSON logs alone."""
    log_format = given.get("LogFormat", "Text")
    levels = {name: given[name] for name in ("ApplicationLogLevel", "SystemLogLevel") if name in given}
    if log_format == "JSON":
        levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **levels}
    elif levels:
        raise InvalidParameterValueException(
            "Log levels can only be set for functions whose LogFormat is JSON. Set LogFormat to JSON or remove them."
        )
    return {"LogFormat": log_format, **levels, "LogGroup": given.get("LogGroup", f"/aws/lambda/{function_name}")}


def _merged(arn: FunctionArn, base: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_what_is_not_offered(members)
    merged = dict(base)
    merged.update({name: members[name] for name in _STORED if name in members})
    if "Environment" in members:
        merged["Environment"] = {"Variables": members["Environment"].get("Variables", {})}
    if "DeadLetterConfig" in members and "TargetArn" not in members["DeadLetterConfig"]:
        merged["DeadLetterConfig"] = base.get("DeadLetterConfig", {})
    check_dead_letter(arn, members.get("DeadLetterConfig", {}).get("TargetArn"))
    for name, default in _NESTED_DEFAULTS.items():
        if name in members:
            merged[name] = {**default, **members[name]}
    if "LoggingConfig" in members:
        merged["LoggingConfig"] = logging_configuration(arn.name, members["LoggingConfig"])
    if not merged.get("Layers"):
        merged.pop("Layers", None)
    _check_quotas(merged)
    check_tenancy(merged)
    check_managed_instances(merged)
    check_snap_start(merged)
    _check_environment(merged.get("Environment", {}).get("Variables", {}))
    if "Runtime" in members:
        check_not_deprecated(members["Runtime"])
    return merged


def _check_name(arn: FunctionArn, members: Mapping[str, Any]) -> None:
    given = members.get("FunctionName", arn.name)
    if arn.qualifier is not None:
        raise InvalidParameterValueException(f"Unsupported function name: {given}")
    if len(arn.name) > FUNCTION_NAME_CHARACTERS:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{given}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {FUNCTION_NAME_CHARACTERS}"
        )


def _check_packaging(package_type: str, members: Mapping[str, Any], *, creating: bool) -> None:
    if package_type == "Image":
        if any(members.get(name) for name in ("Runtime", "Handler", "Layers")):
            raise InvalidParameterValueException(
                "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
            )
        return
    if creating and not (members.get("Runtime") and members.get("Handler")):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    if members.get("ImageConfig"):
        raise InvalidParameterValueException(
            "Please don't provide ImageConfig when the intended function PackageType is Zip."
        )


def _refuse_what_is_not_offered(members: Mapping[str, Any]) -> None:
    for name in _NOT_OFFERED:
        if name in members:
            raise NotImplementedException(f"{name} is not implemented by this server.")
    refuse_publish_to(members)


def _check_quotas(configuration: Mapping[str, Any]) -> None:
    """The model's maxima are those of Managed Instances; ordinary functions have less."""
    memory_mb = MANAGED_MEMORY_MB_MAXIMUM if configuration.get("CapacityProviderConfig") else MEMORY_MB_MAXIMUM
    quotas = (
        ("Timeout", configuration["Timeout"], TIMEOUT_SECONDS_MAXIMUM),
        ("MemorySize", configuration["MemorySize"], memory_mb),
        ("EphemeralStorage", configuration["EphemeralStorage"]["Size"], EPHEMERAL_STORAGE_MB_MAXIMUM),
    )
    for name, value, maximum in quotas:
        if value > maximum:
            raise InvalidParameterValueException(
                f"'{name}' value failed to satisfy constraint: Member must have value less than or equal to {maximum}"
            )


def _check_environment(variables: Mapping[str, str]) -> None:
    reserved = [name for name in variables if name in _RESERVED_VARIABLES]
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    if any("\0" in value for value in variables.values()):
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contain NUL characters, which no process can be given."
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode("utf-8", "replace")) > ENVIRONMENT_BYTES:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {measured}"
        )

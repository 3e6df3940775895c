"""The variables a runtime finds in its environment.

Pure. Names and values as recorded in AWS; later groups win over earlier ones: the function's own, then what the
platform lets be overridden, then credentials, then the platform's.
"""

from collections.abc import Mapping

from rie_server.model.environment import ON_DEMAND
from rie_server.model.function import FunctionVersion

# Without a role to assume these are all a function gets: enough for an SDK to sign with, of use nowhere else.
PLACEHOLDER_CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "ASIARIESERVERFAKEKEY",
    "AWS_SECRET_ACCESS_KEY": "rie-server-fake-secret-access-key-000000",
    "AWS_SESSION_TOKEN": "rie-server-fake-session-token",
}

_OVERRIDABLE: Mapping[str, str] = {
    "TZ": ":UTC",
    "LANG": "en_US.UTF-8",
    "LC_CTYPE": "C.UTF-8",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
}

_MANAGED_PATHS: Mapping[str, str] = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
}


def log_stream_name(function: FunctionVersion, environment_id: str, date: str) -> str:
    """``2026/01/31/[$LATEST]0123...``, in a log group of the function's own ``2026/01/31/NAME[$LATEST][0123...]``.

    Args:
        date: ``YYYY/MM/DD``.
    """
    if function.log_group == f"/aws/lambda/{function.arn.name}":
        return f"{date}/[{function.version}]{environment_id}"
    return f"{date}/{function.arn.name}[{function.version}][{environment_id}]"


def environment_variables(
    function: FunctionVersion,
    *,
    log_stream: str,
    neighbours: Mapping[str, str],
    credentials: Mapping[str, str] = PLACEHOLDER_CREDENTIALS,
    initialization_type: str = ON_DEMAND,
) -> dict[str, str]:
    """Everything but ``AWS_LAMBDA_RUNTIME_API``, which depends on how the environment reaches the server.

    Args:
        neighbours: ``AWS_ENDPOINT_URL`` and ``AWS_ENDPOINT_URL_*`` of the server, and where X-Ray's daemon is; the
            function's own win.
        credentials: of the execution role.
    """
    variables = {**_OVERRIDABLE, **neighbours}
    if function.image_uri is None:
        variables |= _MANAGED_PATHS
    daemon_host, _, daemon_port = variables["AWS_XRAY_DAEMON_ADDRESS"].rpartition(":")
    variables |= function.variables
    variables |= credentials
    variables |= {
        "AWS_REGION": function.arn.region,
        "AWS_DEFAULT_REGION": function.arn.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.arn.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "_AWS_XRAY_DAEMON_ADDRESS": daemon_host,
        "_AWS_XRAY_DAEMON_PORT": daemon_port,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }
    if function.max_concurrency is not None:
        variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(function.max_concurrency)
    if function.log_settings.is_json:
        variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        variables["AWS_LAMBDA_LOG_LEVEL"] = function.log_settings.application_level
    if function.handler is not None:
        variables["_HANDLER"] = function.handler
    if function.runtime is not None and not function.runtime.startswith("provided"):
        variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{function.runtime}"
    return variables

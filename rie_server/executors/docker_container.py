"""What a function's container looks like: limits, mounts, variables, labels. Pure, but for a look into the
function's folders.

The shape of AWS's sandbox: a read-only file system, ``/tmp`` of the asked size, a user without rights or capabilities,
memory without swap, processors in proportion to memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from rie_server import limits
from rie_server.executors.process_variables import layer_python_path
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.function import FunctionVersion

SERVER_LABEL = "rie.server"
OWNER_LABEL = "rie.owner"
ENVIRONMENT_LABEL = "rie.environment"
FUNCTION_LABEL = "rie.function"

TASK_ROOT = "/var/task"
LAYERS_ROOT = "/opt"
USER = "993:990"
NEIGHBOURS_HOST = "host.docker.internal"
# The engine writes it into the container's hosts file with the container's own address: there extensions listen.
HOST_NAME = "sandbox.localdomain"
INIT_PROCESSORS = 2.0

_PLATFORMS: Mapping[str, str] = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """Everything that is needed to create one container.

    Attributes:
        platform: None leaves it to the engine: a zip function runs in the runtime image that is there.
        entry_point: None keeps the image's; the same for ``command`` and ``working_directory``.
        host_name: the server's name that only this container knows.
        extra_hosts: names and what they resolve to.
    """

    name: str
    image: str
    platform: str | None
    entry_point: tuple[str, ...] | None
    command: tuple[str, ...] | None
    working_directory: str | None
    variables: Mapping[str, str]
    labels: Mapping[str, str]
    code_on_host: Path | None
    layers_on_host: Path | None
    host_name: str
    extra_hosts: Mapping[str, str]
    network: str | None
    memory_bytes: int
    nano_processors: int
    temporary_megabytes: int

    def host_settings(self) -> dict[str, object]:
        """Arguments of the SDK's ``create_host_config``."""
        return {
            # A list: code and layers may be one and the same folder.
            "binds": [
                f"{folder}:{root}:ro"
                for folder, root in ((self.code_on_host, TASK_ROOT), (self.layers_on_host, LAYERS_ROOT))
                if folder is not None
            ],
            "extra_hosts": dict(self.extra_hosts),
            "network_mode": self.network,
            "mem_limit": self.memory_bytes,
            # The same figure means: no swap on top.
            "memswap_limit": self.memory_bytes,
            "nano_cpus": self.nano_processors,
            "pids_limit": limits.ENVIRONMENT_PROCESSES,
            "read_only": True,
            # The engine's own init is the first process: it reaps, and a runtime that sends itself a signal gets it.
            "init": True,
            # Functions unpack and run programs there, as on AWS.
            "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={self.temporary_megabytes}m"},  # noqa: S108
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            # Output is read from the attached stream; keeping it twice would fill the disk.
            "log_config": {"Type": "none", "Config": {}},
        }


def nano_processors(memory_mb: int, *, available: int) -> int:
    """1,769 MB are one processor; never more than there are."""
    return int(min(memory_mb / limits.MEMORY_MB_PER_VCPU, float(available)) * _NANO)


def init_nano_processors(memory_mb: int, *, available: int) -> int:
    """During init AWS lends a small function more than its share, or it would take seconds to import anything."""
    boosted = min(INIT_PROCESSORS, float(available))
    return max(nano_processors(memory_mb, available=available), int(boosted * _NANO))


def container_variables(variables: Mapping[str, str], *, runtime_api: str) -> dict[str, str]:
    """The function's variables; endpoints on the server's loopback get a name that leads there from a container."""
    result = {
        name: _reachable(value) if name.startswith("AWS_ENDPOINT_URL") else value for name, value in variables.items()
    }
    for name in ("AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_ADDRESS"):
        host, colon, port = result.get(name, "").partition(":")
        if host in _LOOPBACK:
            result[name] = f"{NEIGHBOURS_HOST}{colon}{port}"
    result["AWS_LAMBDA_RUNTIME_API"] = runtime_api
    # Records go where lines go, so the engine's one stream carries both, in their order.
    result["_LAMBDA_TELEMETRY_LOG_FD"] = "1"
    return result


def _reachable(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=NEIGHBOURS_HOST + port))


def container_labels(spec: EnvironmentSpec, *, server_id: str, owner: str) -> dict[str, str]:
    return {
        SERVER_LABEL: server_id,
        OWNER_LABEL: owner,
        ENVIRONMENT_LABEL: spec.environment_id,
        FUNCTION_LABEL: spec.function.arn.name,
    }


def image_of(function: FunctionVersion, runtime_image: str) -> str:
    """The image a function runs in; ``runtime_image`` is a pattern with ``{runtime}``."""
    return function.image_uri or runtime_image.format(runtime=function.runtime)


def plan_container(
    spec: EnvironmentSpec,
    *,
    image: str,
    owner: str,
    server_id: str,
    runtime_api: str,
    server_address: str,
    network: str | None,
    code_on_host: Path | None,
    processors: int,
    layers_on_host: Path | None = None,
) -> ContainerPlan:
    function = spec.function
    config = function.image_config
    entry_point, command, working_directory = config.entry_point, config.command, config.working_directory
    if function.image_uri is None:
        custom = (function.runtime or "").startswith("provided")
        entry_point = (_bootstrap(function),) if custom else None
        command = () if custom else (function.handler or "",)
        working_directory = TASK_ROOT
    host_name = runtime_api.rpartition(":")[0]
    return ContainerPlan(
        name=f"rie-{spec.environment_id}",
        image=image,
        platform=_PLATFORMS.get(function.architecture) if function.image_uri else None,
        entry_point=entry_point,
        command=command,
        working_directory=working_directory,
        variables=container_variables(
            # The Lambda API listens where no container comes.
            _with_layers(spec.with_endpoint(f"http://{runtime_api}")),
            runtime_api=runtime_api,
        ),
        labels=container_labels(spec, server_id=server_id, owner=owner),
        code_on_host=code_on_host,
        layers_on_host=layers_on_host,
        host_name=host_name,
        extra_hosts={host_name: server_address, NEIGHBOURS_HOST: "host-gateway"},
        network=network,
        memory_bytes=function.memory_size_mb * 1024 * 1024,
        nano_processors=init_nano_processors(function.memory_size_mb, available=processors),
        temporary_megabytes=function.ephemeral_storage_mb,
    )


def _bootstrap(function: FunctionVersion) -> str:
    """The executable of a custom runtime: the code's own before that of a layer."""
    own, layers = function.code_directory, function.layers_directory
    in_layers = layers is not None and (layers / "bootstrap").is_file() and not (own and (own / "bootstrap").is_file())
    return f"{LAYERS_ROOT if in_layers else TASK_ROOT}/bootstrap"


def _with_layers(spec: EnvironmentSpec) -> Mapping[str, str]:
    """The function's variables; Python finds modules of layers as on AWS, where the runtime itself sees to that."""
    runtime = spec.function.runtime or ""
    if spec.function.layers_directory is None or not runtime.startswith("python"):
        return spec.variables
    search = (*layer_python_path(LAYERS_ROOT, runtime), spec.variables.get("PYTHONPATH", ""))
    return {**spec.variables, "PYTHONPATH": ":".join(filter(None, search))}


def with_handler(plan: ContainerPlan, command_line: Sequence[str]) -> ContainerPlan:
    """An image's handler is the last argument of its command line, as AWS has it, if there is any: Node's runtime
    interface client looks for it in ``_HANDLER`` alone.
    """
    if len(command_line) < 2:
        return plan
    return replace(plan, variables={**plan.variables, "_HANDLER": command_line[-1]})

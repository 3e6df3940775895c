"""How containers reach this server, and how the engine reaches its files, whether or not it runs in a container itself.

Thread-safe: keeps nothing.
"""

import contextlib
import fcntl
import ipaddress
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SIOCGIFADDR = 0x8915
HOST_GATEWAY = "host-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the host inside the server's container."""

    source: Path
    destination: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNetwork:
    """Where the Runtime API listens for containers.

    Attributes:
        address: what to bind to; None where the engine's bridge is on another machine.
        name: the network that containers must join, or None for the engine's default.
        container_id: the server's own container, if it runs in one.
    """

    address: str | None
    name: str | None
    container_id: str | None
    mounts: tuple[Mount, ...]

    @property
    def server_address(self) -> str:
        """What a container's name for the server must resolve to."""
        if self.name is not None and self.address is not None:
            return self.address
        return HOST_GATEWAY

    def path_on_host(self, path: Path) -> Path | None:
        """Where the engine finds a folder of ours; None when it cannot."""
        if self.container_id is None:
            return path
        for mount in sorted(self.mounts, key=lambda mount: len(mount.destination.parts), reverse=True):
            if path.is_relative_to(mount.destination):
                return mount.source / path.relative_to(mount.destination)
        return None


def own_network(api: Any) -> EngineNetwork | None:
    """The network of the container that this server runs in; None outside a container of this engine."""
    container_id = own_container_id()
    if container_id is None:
        return None
    try:
        container = api.inspect_container(container_id)
    except Exception:
        # A container of another engine: to this one we are a process of the host.
        return None
    mounts = tuple(
        Mount(source=Path(mount["Source"]), destination=Path(mount["Destination"]))
        for mount in container.get("Mounts", ())
        if mount.get("Source")
    )
    networks = container["NetworkSettings"]["Networks"]
    for name, network in networks.items():
        if network.get("IPAddress"):
            return EngineNetwork(address=network["IPAddress"], name=name, container_id=container["Id"], mounts=mounts)
    # The host's own network: addresses as on the host, folders as in a container.
    return EngineNetwork(address=None, name=None, container_id=container["Id"], mounts=mounts)


def own_container_id() -> str | None:
    """The container that this process runs in, if it runs in one."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            # The engine mounts its files for /etc/hostname and /etc/hosts from a folder named for the container.
            _, found, rest = line.partition("/containers/")
            if found and (" /etc/hostname " in rest or " /etc/hosts " in rest):
                return rest.split("/", 1)[0]
    return None


def bridge_address(api: Any) -> str | None:
    """This machine's address on the engine's default bridge."""
    try:
        bridge = api.inspect_network("bridge")
    except Exception:
        return None
    options = bridge.get("Options") or {}
    interface = _interface_address(options.get("com.docker.network.bridge.name", "docker0"))
    if interface is not None:
        return interface
    # An engine names the gateway only after its first container.
    for config in (bridge.get("IPAM") or {}).get("Config") or ():
        if config.get("Gateway"):
            return str(config["Gateway"])
        if config.get("Subnet"):
            return str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    return None


def _interface_address(name: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])

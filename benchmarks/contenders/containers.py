"""Docker as the benchmarks use it: its command line, and an image in which any contender can run their handlers.

Everything is made from ``rie-server/pythonX.Y`` (``make images``), so that nothing has to be pulled and every contender
runs the same Python with the same awslambdaric.
"""

import ipaddress
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders.contender import HANDLERS, RUNTIME, private_folder

IMAGE = f"rie-server/{RUNTIME}"
FUNCTION_IMAGE = "rie-bench/function"
DOCKER_SECONDS_AT_MOST = 60.0
# As AWS's images run it: as root, with the code inside.
_FUNCTION = f"""
FROM {IMAGE}
USER root
COPY *.py /var/task/
CMD ["bench_handler.hello"]
"""


def missing_docker() -> str:
    """Why nothing can be measured in containers here; empty when it can."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except (OSError, subprocess.SubprocessError):
        return "no Docker engine answers"
    return "" if has_image(IMAGE) else f"there is no image {IMAGE} (make images)"


def docker(*arguments: str) -> str:
    """What a command of ``docker`` has written.

    Raises:
        CalledProcessError: it has failed.
    """
    done = subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True, timeout=DOCKER_SECONDS_AT_MOST
    )
    return done.stdout.strip()


def has_image(name: str) -> bool:
    try:
        docker("image", "inspect", "--format", "{{.Id}}", name)
    except subprocess.CalledProcessError:
        return False
    return True


def gateway() -> str:
    """The bridge's address on this machine; an engine that does not say takes the first of its subnet."""
    template = "{{with index .IPAM.Config 0}}{{.Gateway}} {{.Subnet}}{{end}}"
    address, _, subnet = docker("network", "inspect", "bridge", "--format", template).rpartition(" ")
    return address.strip() or str(next(ipaddress.ip_network(subnet).hosts()))


def remove_containers(condition: str) -> None:
    """Removes those that match a filter of ``docker ps``, as ``name=...``, running or not."""
    left = docker("ps", "--all", "--quiet", "--filter", condition).split()
    if left:
        docker("rm", "--force", *left)


@contextmanager
def built_image(name: str, dockerfile: str) -> Iterator[str]:
    """``name``, while there is such an image; the handlers lie beside its Dockerfile."""
    with private_folder() as folder:
        for module in HANDLERS.glob("*.py"):
            shutil.copy(module, folder)
        (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        docker("build", "--quiet", "--tag", name, str(folder))
    try:
        yield name
    finally:
        remove_containers(f"ancestor={name}")
        docker("rmi", name)


@contextmanager
def function_image() -> Iterator[str]:
    """The URI of an image with ``bench_handler.hello``, which takes ``_HANDLER`` or a command for another one."""
    with built_image(FUNCTION_IMAGE, _FUNCTION) as name:
        yield f"{name}:latest"

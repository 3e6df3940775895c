"""The Docker engine that tests use: skipped or failed by ``require`` where there is none."""

import re
import subprocess
from typing import Any

from tests.conftest import require

try:
    import docker
except ImportError:
    docker = None


def connect() -> Any:
    """The SDK's client; the caller closes it."""
    if docker is None:
        require("docker", "the Docker SDK is not installed")
    try:
        client = docker.DockerClient.from_env(timeout=20)
    except docker.errors.DockerException as refused:
        require("docker", f"no engine answers: {refused}")
    return client


def runtime_image(client: Any) -> str:
    """The image in which tests run Python: whatever ``make images`` has made."""
    tags = [tag for image in client.images.list() for tag in image.tags]
    found = sorted(tag for tag in tags if re.fullmatch(r"rie-server/python[\d.]+:latest", tag))
    if not found:
        require("docker", "there is no runtime image: make images")
    return str(found[-1].removesuffix(":latest"))


def containers_of(server_id: str) -> list[str]:
    """Ids of all containers with a server's label, by the command line: a second opinion beside the SDK."""
    listing = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label=rie.server={server_id}"], capture_output=True, text=True, check=True
    )
    return listing.stdout.split()

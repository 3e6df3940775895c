"""The Docker engine that tests use: skipped or failed by ``require`` where there is none."""

import gc
import io
import re
import secrets
import subprocess
import tarfile
import warnings
from collections.abc import Mapping
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
        return docker.DockerClient.from_env(timeout=20)
    except docker.errors.DockerException as refused:
        reason = f"no engine answers: {refused}"
    with warnings.catch_warnings():
        # The SDK leaves a socket that could not be connected to the collector, which would warn in some later test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return require("docker", reason)


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


def build_image(files: Mapping[str, tuple[str, int]]) -> str:
    """Builds an image from texts and modes by name; the caller removes what is returned, its tag."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, (text, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    tag = f"rie-test/{secrets.token_hex(6)}"
    client = connect()
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    client.close()
    return tag

"""Creating a container and getting hold of its output, before it starts. Thread-safe: keeps nothing."""

import os
from typing import Any

from rie_server.executors.docker_container import HOST_NAME, USER, ContainerPlan
from rie_server.executors.docker_failures import missing_image
from rie_server.executors.docker_images import DockerImages


def create_container(api: Any, plan: ContainerPlan, images: DockerImages) -> str:
    """The id of a container that has not been started.

    Raises:
        EnvironmentStartError: no such image, here or in its registry.
    """
    from docker.errors import NotFound  # noqa: PLC0415 -- optional, and slow to import

    try:
        return _create(api, plan)
    except NotFound:
        # Gone since it was deployed: a registry may still have it.
        images.forget(plan.image)
        images.prepare_image(plan.image)
    try:
        return _create(api, plan)
    except NotFound as refused:
        raise missing_image(plan.image, str(refused.explanation)) from refused


def _create(api: Any, plan: ContainerPlan) -> str:
    created = api.create_container(
        plan.image,
        name=plan.name,
        hostname=HOST_NAME,
        platform=plan.platform,
        entrypoint=list(plan.entry_point) if plan.entry_point is not None else None,
        command=list(plan.command) if plan.command is not None else None,
        working_dir=plan.working_directory,
        environment=dict(plan.variables),
        labels=dict(plan.labels),
        user=USER,
        host_config=api.create_host_config(**plan.host_settings()),
        # The developer's proxy is none of the function's business.
        use_config_proxy=False,
    )
    return str(created["Id"])


def attach(api: Any, container_id: str) -> int:
    """A descriptor of the container's output stream, ours alone."""
    stream = api.attach_socket(container_id, params={"stdout": 1, "stderr": 1, "stream": 1})
    try:
        return os.dup(stream.fileno())
    finally:
        stream._response.close()  # noqa: SLF001 -- it owns the connection that the stream was taken from

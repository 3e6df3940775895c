"""From what an environment is to be to a container that can be started. Thread-safe: keeps nothing of its own."""

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rie_server.errors import EnvironmentStartError
from rie_server.executors.docker_container import ContainerPlan, image_of, plan_container, with_handler
from rie_server.executors.docker_create import create_container
from rie_server.executors.docker_engine import DockerEngine
from rie_server.executors.docker_extensions import extensions_in, with_extensions
from rie_server.executors.docker_images import DockerImages
from rie_server.executors.entry_point import bootstrap_path
from rie_server.executors.process_extensions import check_number, external_extensions
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.ports import RuntimeEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A container that was not started yet.

    Attributes:
        extensions: names of the external ones that it will start.
        mark: stands before what its shell tells, where it has extensions.
    """

    container_id: str
    extensions: tuple[str, ...] = ()
    mark: str = ""


class ContainerPlanner:
    def __init__(
        self, *, engine: DockerEngine, images: DockerImages, endpoints: RuntimeEndpoints, server_id: str, owner: str
    ) -> None:
        self._engine = engine
        self._images = images
        self._endpoints = endpoints
        self._server_id = server_id
        self._owner = owner

    def plan(self, spec: EnvironmentSpec, *, runtime_image: str) -> ContainerPlan:
        """The container of an environment, whose address is registered from now on.

        Raises:
            EnvironmentStartError: the function's code is not there, or the engine cannot see it.
        """
        facts = self._engine.facts()
        function = spec.function
        code_on_host = None
        if function.image_uri is None:
            directory = function.code_directory
            if directory is None or not directory.is_dir():
                raise EnvironmentStartError("Runtime.InvalidWorkingDir", "the function's code is not there")
            if (function.runtime or "").startswith("provided"):
                bootstrap_path(directory, function.layers_directory)
            code_on_host = self._on_host(directory)
        image = image_of(function, runtime_image)
        # A name that no other function can guess: it is how the Runtime API tells environments apart.
        host_name = f"rie-{secrets.token_hex(16)}"
        plan = plan_container(
            spec,
            image=image,
            owner=self._owner,
            server_id=self._server_id,
            runtime_api=self._endpoints.register_host(spec.environment_id, host_name, None),
            server_address=facts.network.server_address,
            network=facts.network.name,
            code_on_host=code_on_host,
            layers_on_host=None if function.layers_directory is None else self._on_host(function.layers_directory),
            processors=facts.processors,
        )
        if function.image_uri is not None and plan.entry_point and plan.command is None:
            plan = replace(plan, command=self._images.command_of(image))
        return plan if function.image_uri is None else with_handler(plan, self._command_line(plan))

    def _on_host(self, directory: Path) -> Path:
        """The name by which the engine knows a folder of this machine's."""
        path = self._engine.facts().network.path_on_host(directory.resolve())
        if path is None:
            raise EnvironmentStartError(
                "Sandbox.Failure", f"the engine cannot see {directory}: mount the data folder into this container"
            )
        return path

    def create(self, api: Any, plan: ContainerPlan, function: FunctionVersion) -> Created:
        """Creates the container, with the extensions that its layers or its image hold.

        Raises:
            EnvironmentStartError: no such image, or too many extensions.
        """
        names = self._known_extensions(plan.image, function.layers_directory)
        if names is None:
            container_id = create_container(api, plan, self._images)
            try:
                names = self._images.remember_extensions(plan.image, extensions_in(api, container_id))
            except BaseException:
                api.remove_container(container_id, force=True, v=True)
                raise
            if not names:
                return Created(container_id=container_id)
            api.remove_container(container_id, force=True, v=True)
        if not names:
            return Created(container_id=create_container(api, plan, self._images))
        check_number(names)
        mark = f"rie-{secrets.token_hex(16)}"
        plan = with_extensions(plan, self._command_line(plan), mark)
        return Created(container_id=create_container(api, plan, self._images), extensions=names, mark=mark)

    def _known_extensions(self, image: str, layers: Path | None) -> tuple[str, ...] | None:
        """None when nobody has looked into the image yet; layers cover what it has there itself."""
        if layers is not None:
            return tuple(path.name for path in external_extensions(layers))
        return self._images.extensions_of(image)

    def _command_line(self, plan: ContainerPlan) -> tuple[str, ...]:
        """What the container would run without extensions."""
        entry_point, command = self._images.start_of(plan.image)
        if plan.entry_point is not None:
            # As the engine has it: an entry point of one's own takes the image's command away.
            return (*plan.entry_point, *(plan.command or ()))
        return (*entry_point, *(command if plan.command is None else plan.command))

"""Runs functions in containers: function images as they are, zip functions in a runtime image.

Thread-safe; many starts may be under way at once, each on its caller's thread. Whatever fails in the middle of a start,
the container is removed. Threads: ``docker-output`` reads all output, ``docker-events`` waits for the ends of all
containers, ``docker-work`` (a few) does what nobody waits for; ``close`` joins them.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rie_server import limits
from rie_server.errors import EnvironmentStartError
from rie_server.executors.docker_container import (
    OWNER_LABEL,
    SERVER_LABEL,
    ContainerPlan,
    image_of,
    nano_processors,
)
from rie_server.executors.docker_create import attach
from rie_server.executors.docker_engine import DockerEngine, EngineUnavailableError
from rie_server.executors.docker_environment import DockerEnvironment, exit_from, peak_in_statistics
from rie_server.executors.docker_events import ContainerEnds
from rie_server.executors.docker_extended_environment import ExtendedDockerEnvironment
from rie_server.executors.docker_failures import start_failure
from rie_server.executors.docker_images import DockerImages
from rie_server.executors.docker_pauses import DockerPauses
from rie_server.executors.docker_planning import ContainerPlanner, Created
from rie_server.executors.file_watch import FileWatch
from rie_server.model.environment import EnvironmentExit, EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.owner import is_alive
from rie_server.ports import Clock, EnvironmentObserver, RunningEnvironment, RuntimeEndpoints

log = logging.getLogger(__name__)

_WORKERS = 8
_LAST_OUTPUT_SECONDS = 1.0
_STOP_SECONDS = 10.0


class DockerExecutor:
    name = "docker"

    def __init__(
        self, *, server_id: str, owner: str, runtime_image: str, endpoints: RuntimeEndpoints, clock: Clock
    ) -> None:
        self._server_id = server_id
        self._runtime_image = runtime_image
        self._endpoints = endpoints
        self._clock = clock
        self._engine = DockerEngine(clock=clock)
        self._images = DockerImages(engine=self._engine, clock=clock)
        self._planner = ContainerPlanner(
            engine=self._engine, images=self._images, endpoints=endpoints, server_id=server_id, owner=owner
        )
        self._watch = FileWatch("docker-output")
        self._work = ThreadPoolExecutor(_WORKERS, thread_name_prefix="docker-work")
        self._lock = threading.Lock()
        self._environments: dict[str, DockerEnvironment] = {}
        self._ends = ContainerEnds(engine=self._engine, owner=owner, on_end=self._on_end, running=self._running)

    # --- Executor and ImagePreparer -----------------------------------------------------------------------------------

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        try:
            api = self._engine.api()
            self._ends.start()
            plan = self._planner.plan(spec, runtime_image=self._runtime_image)
            return self._run(api, plan, spec, observer)
        except EnvironmentStartError:
            self._endpoints.close(spec.environment_id)
            raise
        except Exception as refused:
            self._endpoints.close(spec.environment_id)
            self._engine.check(refused)
            raise start_failure(str(getattr(refused, "explanation", None) or refused)) from refused

    def supports(self, function: FunctionVersion) -> str | None:
        if (reason := self._engine.unavailable()) is not None:
            return reason
        if function.image_uri is not None:
            return None
        image = image_of(function, self._runtime_image)
        try:
            present = self._images.is_present(image)
        except (EngineUnavailableError, EnvironmentStartError) as refused:
            return str(refused)
        return None if present else f"there is no image {image} to run {function.runtime} in: `make images` makes it"

    def prepare_image(self, image_uri: str) -> str:
        return self._images.prepare_image(image_uri)

    def remove_orphans(self) -> int:
        try:
            api = self._engine.api()
            containers = api.containers(all=True, filters={"label": f"{SERVER_LABEL}={self._server_id}"})
        except Exception:
            return 0
        orphans = [box["Id"] for box in containers if not is_alive(box["Labels"].get(OWNER_LABEL, ""))]
        for container_id in orphans:
            self._remove_container(container_id)
        return len(orphans)

    def close(self) -> None:
        for environment in self._all():
            environment.stop()
        for environment in self._all():
            if not environment.exited.wait(_STOP_SECONDS):
                log.error("environment %s does not end", environment.environment_id)
        self._work.shutdown()
        self._ends.close()
        self._watch.close()
        self._engine.close()

    # --- for choosing and wiring --------------------------------------------------------------------------------------

    def unavailable(self) -> str | None:
        """None when an engine answers, otherwise the reason."""
        return self._engine.unavailable()

    def bridge_gateway(self) -> str | None:
        """The address at which containers of this engine reach this machine; None when it is not one of ours."""
        try:
            return self._engine.facts().network.address
        except EngineUnavailableError:
            return None

    # --- starting -----------------------------------------------------------------------------------------------------

    def _run(
        self, api: Any, plan: ContainerPlan, spec: EnvironmentSpec, observer: EnvironmentObserver
    ) -> DockerEnvironment:
        created = self._planner.create(api, plan, spec.function)
        container_id = created.container_id
        environment = self._environment(created, spec, observer)
        try:
            with self._lock:
                self._environments[container_id] = environment
            environment.listen(attach(api, container_id))
            api.start(container_id)
        except BaseException:
            with self._lock:
                self._environments.pop(container_id, None)
            environment.close_output()
            self._remove_container(container_id)
            raise
        self._later(self._look_at, environment, plan.host_name)
        share = nano_processors(spec.function.memory_size_mb, available=self._engine.facts().processors)
        if share < plan.nano_processors:
            environment.nano_processors_after_init = share
            self._clock.call_later(limits.INIT_TIMEOUT_SECONDS, environment.settle)
        return environment

    def _environment(self, created: Created, spec: EnvironmentSpec, observer: EnvironmentObserver) -> DockerEnvironment:
        arguments: dict[str, Any] = {
            "environment_id": spec.environment_id,
            "container_id": created.container_id,
            "memory_mb": spec.function.memory_size_mb,
            "observer": observer,
            "watch": self._watch,
            "clock": self._clock,
            "keeper": self,
            "pauses": DockerPauses(self._engine),
        }
        if not created.extensions:
            return DockerEnvironment(**arguments)
        observer.on_extensions(created.extensions)
        return ExtendedDockerEnvironment(mark=created.mark, names=created.extensions, **arguments)

    def _look_at(self, environment: DockerEnvironment, host_name: str) -> None:
        """What only a running container can tell: its address, and where its memory is counted."""
        inspected = self._engine.api().inspect_container(environment.container_id)
        if not environment.measure(inspected):
            self._ask_peak(environment)
        if not self._engine.facts().source_addresses_real or environment.exited.is_set():
            return
        for network in inspected["NetworkSettings"]["Networks"].values():
            if network.get("IPAddress"):
                self._endpoints.register_host(environment.environment_id, host_name, network["IPAddress"])
                if environment.is_stopped:
                    self._endpoints.close(environment.environment_id)

    # --- what an environment asks for (ContainerKeeper) ---------------------------------------------------------------

    def end_init(self, environment: DockerEnvironment) -> None:
        if (share := environment.nano_processors_after_init) is not None:
            self._later(self._limit_processors, environment.container_id, share)

    def signal(self, environment: DockerEnvironment, name: str) -> None:
        if not environment.exited.is_set():
            self._later(self._engine.api().kill, environment.container_id, name)

    def remove(self, environment: DockerEnvironment) -> None:
        self._later(self._remove, environment)

    def refresh_peak(self, environment: DockerEnvironment) -> None:
        self._later(self._ask_peak, environment)

    def later(self, work: Callable[[], None]) -> None:
        self._later(work)

    def look_at_end(self, environment: DockerEnvironment, exit_code: int) -> None:
        self._later(self._tell_runtime_end, environment, exit_code)

    # --- work that nobody waits for -----------------------------------------------------------------------------------

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception:
                # The container may have ended meanwhile; then its end is reported on its own way.
                log.debug("work on a container was in vain", exc_info=True)

        # Timers may fire after close.
        with contextlib.suppress(RuntimeError):
            self._work.submit(guarded)

    def _limit_processors(self, container_id: str, share: int) -> None:
        api = self._engine.api()
        # The SDK's update knows quotas only, which the engine refuses to mix with the figure a container was made with.
        url = api._url("/containers/{0}/update", container_id)  # noqa: SLF001
        api._raise_for_status(api._post_json(url, data={"NanoCpus": share}))  # noqa: SLF001

    def _ask_peak(self, environment: DockerEnvironment) -> None:
        stats = self._engine.api().stats(environment.container_id, stream=False, one_shot=True)
        environment.note_peak(peak_in_statistics(stats))

    def _remove(self, environment: DockerEnvironment) -> None:
        self._remove_container(environment.container_id)
        # Not before: a runtime that loses its connection ends by itself, and that would be told as its own doing.
        self._endpoints.close(environment.environment_id)
        environment.tell_exit(EnvironmentExit(signal=signal.SIGKILL))
        with self._lock:
            self._environments.pop(environment.container_id, None)

    def _remove_container(self, container_id: str) -> None:
        from docker.errors import APIError  # noqa: PLC0415 -- optional, and slow to import

        try:
            self._engine.api().remove_container(container_id, force=True, v=True)
        except APIError as refused:
            # Not found, or a removal is under way already.
            if not refused.is_client_error():
                log.exception("container %s could not be removed", container_id[:12])
        except Exception:
            log.exception("container %s could not be removed", container_id[:12])

    def _on_end(self, container_id: str, exit_code: int) -> None:
        with self._lock:
            environment = self._environments.get(container_id)
        if environment is not None:
            self._later(self._tell_end, environment, exit_code)

    def _tell_end(self, environment: DockerEnvironment, exit_code: int) -> None:
        inspected = None
        with contextlib.suppress(Exception):
            inspected = self._engine.api().inspect_container(environment.container_id)
        environment.output_ended.wait(_LAST_OUTPUT_SECONDS)
        environment.tell_exit(exit_from(inspected, exit_code))

    def _tell_runtime_end(self, environment: DockerEnvironment, exit_code: int) -> None:
        inspected = None
        with contextlib.suppress(Exception):
            inspected = self._engine.api().inspect_container(environment.container_id)
        environment.tell_runtime_exit(exit_from(inspected, exit_code))

    def _all(self) -> list[DockerEnvironment]:
        with self._lock:
            return list(self._environments.values())

    def _running(self) -> list[str]:
        return [environment.container_id for environment in self._all() if not environment.exited.is_set()]

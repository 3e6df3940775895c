"""Composition root: the only file that names concrete classes.

``build`` puts a server together and starts nothing; ``RieServer`` starts and stops the parts in the order in which they
need one another. The order of stopping is the reverse: nothing is taken away from a part that still runs.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial

from rie_server.api.authentication import Authentication
from rie_server.api.exchange import HotRoute
from rie_server.api.runtime_api.durable_door import DurableDoor
from rie_server.api.serving import Listen
from rie_server.clock.server_time import ServerTime
from rie_server.clock.system import SystemClock
from rie_server.config import Settings
from rie_server.destinations.dispatch import DestinationDispatcher
from rie_server.door_wiring import make_doors, make_function_urls, make_own_paths
from rie_server.durable_wiring import make_durable
from rie_server.engine_wiring import Engine
from rie_server.event_wiring import make_event_worker
from rie_server.events.claim_owner import claim_owner, is_gone
from rie_server.invoke.front_controller import FrontController
from rie_server.invoke.provisioning import Provisioning
from rie_server.limits import ACCOUNT_CONCURRENCY
from rie_server.model.arn import FunctionArn
from rie_server.model.invocation import InvokeRequest
from rie_server.owner import current_owner, is_alive
from rie_server.registry.functions import FunctionRegistry
from rie_server.registry.template_deployment import TemplateDeployment
from rie_server.source_clients import SourceClients
from rie_server.source_wiring import make_mappings
from rie_server.stores.code import ZipCodeStore
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.event_survey import DatabaseEventSurvey
from rie_server.stores.functions import DatabaseFunctionStore
from rie_server.stores.s3 import BotoObjectStorage
from rie_server.stores.server_id import server_id
from rie_server.telemetry.event_log import EventLog
from rie_server.telemetry.journals import EventJournals
from rie_server.telemetry.metrics import Metrics

# An idle Python environment holds about 25 MB; a working one more. Three quarters of the host at this size each.
ENVIRONMENT_MB = 64


def host_capacity() -> int:
    """How many environments the host's memory allows."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    return max(4, memory_mb * 3 // 4 // ENVIRONMENT_MB)


class RieServer:
    """One server: every part, made and connected (fills ``api.serving.Server``)."""

    def __init__(self, settings: Settings, listen: Listen) -> None:
        self.settings = settings
        self._clock = SystemClock()
        self._time = ServerTime(settings, self._clock)
        self._make_stores()
        capacity = host_capacity()
        concurrency_limit = min(ACCOUNT_CONCURRENCY, capacity)
        self._make_engine(listen, capacity)
        self._make_controller(concurrency_limit)
        self._make_events()
        self._make_durable()
        self._make_pollers(invocations_most=concurrency_limit)
        self._make_doors()
        self._template = TemplateDeployment(
            settings.template,
            registry=self._registry,
            layers=self._registry.layers,
            mappings=self._mappings,
            urls=self._registry.urls,
            policies=self._registry.policies,
            base_url=f"http://{settings.host}:{settings.port}",
            supports=self._engine.executor.supports,
            checked=self.lambda_api.checked_members,
            clock=self._clock,
            region=settings.region,
            account_id=settings.account_id,
        )

    def _make_stores(self) -> None:
        settings = self.settings
        self._owner = current_owner()
        self._server_id = server_id(settings.data_dir)
        self._database = Database(settings.database_url or sqlite_url(settings.data_dir))
        self._functions = DatabaseFunctionStore(self._database)
        self._code = ZipCodeStore(settings.data_dir / "code")

    def _make_engine(self, listen: Listen, capacity: int) -> None:
        self._metrics = Metrics(clock=self._time.clock)
        self._engine = Engine(
            self.settings,
            listen=listen,
            server_id=self._server_id,
            owner=self._owner,
            max_environments=self.settings.max_environments or capacity,
            observer=self._metrics,
            clock=self._clock,
            keepalive_clock=self._time.clock,
        )
        self._time.wait_for(self._engine.fleet)

    def _make_controller(self, concurrency_limit: int) -> None:
        clock = self._clock
        self._registry = FunctionRegistry(
            store=self._functions,
            code=self._code,
            objects=BotoObjectStorage(),
            images=self._engine.executor.images,
            supports=self._engine.executor.supports,
            clock=clock,
            concurrency_limit=concurrency_limit,
            code_storage_bytes=self.settings.code_storage_gb * 1024**3,
        )
        self._registry.on_change(self._engine.fleet.retire)
        self._front_controller = FrontController(
            catalog=self._registry,
            fleet=self._engine.fleet,
            clock=clock,
            concurrency_limit=concurrency_limit,
            observer=self._metrics,
        )
        concurrency = self._front_controller.concurrency
        self._registry.invoke_settings.tell(concurrency)
        self._provisioning = Provisioning(
            fleet=self._engine.fleet, catalog=self._registry, concurrency=concurrency, clock=clock
        )
        self._registry.provisioned.tell(self._provisioning)

    def _make_events(self) -> None:
        self._event_log = EventLog(survey=DatabaseEventSurvey(self._database), clock=self._time.clock)
        self._destinations = DestinationDispatcher(catalog=self._registry, submit=self._submit_event)
        self._events = make_event_worker(
            self._database,
            settings=self.settings,
            invoker=self._front_controller,
            configs=self._registry,
            destinations=self._destinations,
            journal=EventJournals(self._metrics, self._event_log),
            owner=claim_owner(self._server_id, self._owner),
            is_gone=partial(is_gone, server_id=self._server_id, is_alive=is_alive),
            is_elsewhere=self._is_elsewhere,
            clock=self._time.clock,
            real=self._clock,
        )
        self._time.wait_for(self._events)

    def _make_durable(self) -> None:
        self._durable = make_durable(
            self._database,
            settings=self.settings,
            invoker=self._front_controller,
            catalog=self._registry,
            queue=self._events,
            configs=self._registry,
            owner=claim_owner(self._server_id, self._owner),
            is_gone=partial(is_gone, server_id=self._server_id, is_alive=is_alive),
            is_elsewhere=self._is_elsewhere,
            clock=self._time.clock,
            real=self._clock,
        )
        self._front_controller.execute_durably = self._durable.starts.execute
        self._time.wait_for(self._durable.runner)

    def _make_pollers(self, *, invocations_most: int) -> None:
        self._source_clients = SourceClients()
        self._mappings = make_mappings(
            self._database,
            settings=self.settings,
            invoker=self._front_controller,
            catalog=self._registry,
            function_exists=self._registry.has,
            destinations=self._destinations,
            metrics=self._metrics.polls,
            clients=self._source_clients,
            clock=self._time.clock,
            real=self._clock,
            invocations_most=invocations_most,
            owner=claim_owner(self._server_id, self._owner),
            is_gone=partial(is_gone, server_id=self._server_id, is_alive=is_alive),
            is_elsewhere=self._is_elsewhere,
        )
        self._time.wait_for(self._mappings.manager)

    def _is_elsewhere(self, function: str) -> bool:
        """Whether another server that shares the database has made a function since this one was started."""
        region, account, _, name = function.split(":")[3:]
        if self._registry.has(FunctionArn(region=region, account=account, name=name)):
            return False
        return self._functions.has(function)

    def _submit_event(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None:
        """The queue's ``submit`` for destinations, which are made before it: the queue's worker delivers to them."""
        self._durable.events.submit(request, on_durable)

    def _make_doors(self) -> None:
        self.runtime_api = self._engine.runtime_api
        authentication = Authentication(access_keys=self._engine.access_keys, clock=self._clock)
        self.function_urls = make_function_urls(
            self.settings,
            registry=self._registry,
            authentication=authentication,
            invoker=self._front_controller,
            clock=self._clock,
        )
        own_paths = make_own_paths(
            time=self._time,
            event_log=self._event_log,
            mappings=self._mappings,
            polls=self._metrics.polls,
            function_urls=self.function_urls,
            metrics=partial(self._metrics.expose, self._front_controller.concurrency, self._provisioning),
            clock=self._clock,
        )
        doors = make_doors(
            self.settings,
            registry=self._registry,
            mappings=self._mappings,
            invoker=self._front_controller,
            durable=self._durable,
            own_paths=own_paths,
            authentication=authentication,
            clock=self._clock,
        )
        self.lambda_api = doors.lambda_api
        self._durable_door = DurableDoor(identities=self._engine.identities, operation=self.lambda_api)
        self.hot_routes: Sequence[HotRoute] = (
            *doors.hot_routes,
            *self._engine.hot_routes,
            *self._durable_door.hot_routes,
        )

    @property
    def runtime_bind_addresses(self) -> Sequence[tuple[str, int]]:
        """Where containers reach the Runtime API, unless the user has said where."""
        gateway = None if self.settings.runtime_host else self._engine.executor.bridge_gateway()
        return () if gateway is None else ((gateway, self.settings.runtime_port),)

    def start(self) -> None:
        """Clears up after an earlier server that crashed, then begins; returns when the template is deployed."""
        self._clock.start()
        self._time.start()
        self._engine.start()
        self._registry.start()
        self._engine.fleet.begin_sweeping()
        self._events.start()
        self._template.deploy_functions()
        # What polls, and what goes on, begins when the functions are there.
        self._durable.runner.start()
        self._mappings.start()
        self._template.deploy_mappings()

    def drain(self, seconds: float) -> None:
        give_up_at = self._clock.monotonic() + seconds
        # Nobody takes more work; then what was taken is finished, all of it within the same time.
        self._mappings.manager.stop()
        self._durable.runner.drain(0.0)
        self._events.drain(seconds)
        self._mappings.manager.drain(max(0.0, give_up_at - self._clock.monotonic()))
        self._front_controller.drain(max(0.0, give_up_at - self._clock.monotonic()))

    def stop(self) -> None:
        """Who takes work stops first, then who does it, then what they stand on."""
        self._mappings.close()
        self._source_clients.close()
        self._events.close()
        self._durable.runner.close()
        self._destinations.close()
        self._engine.close()
        self._durable_door.close()
        self._registry.close()
        self._database.close()
        self._engine.telemetry.close()
        self._time.close()
        self._clock.close()

    def ready_line(self) -> str:
        base = f"http://{self.settings.host}:{self.settings.port}"
        choice = self._engine.executor.choice
        lines = [f"{choice[0].upper()}{choice[1:]}.", *self._template.lines()]
        name = self._template.ready_function() or "NAME"
        tried = f"curl {base}/2015-03-31/functions/{name}/invocations -d '{{}}'"
        return "\n".join((*lines, f"RIE Server is ready at {base} - try: {tried}"))


build: Callable[[Settings, Listen], RieServer] = RieServer

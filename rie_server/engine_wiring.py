"""Puts together what runs functions; a page of the composition root."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

from rie_server.api.exchange import HotRoute
from rie_server.api.runtime_api.extensions import ExtensionsApi
from rie_server.api.runtime_api.identity import EnvironmentIdentities
from rie_server.api.runtime_api.operations import RuntimeApi
from rie_server.api.serving import Listen
from rie_server.aws_clients import ServiceClients
from rie_server.config import Settings
from rie_server.executors.choose import choose_executor
from rie_server.executors.role_credentials import RoleCredentials
from rie_server.invoke.answers import Answers
from rie_server.invoke.extensions import Extensions
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.freezing import Freezer
from rie_server.invoke.mailbox import Mailbox
from rie_server.invoke.supervisor import Supervisor
from rie_server.invoke.variables import Variables
from rie_server.model.caller import AccessKey, access_keys
from rie_server.observing import InvocationObserver
from rie_server.ports import Clock
from rie_server.telemetry_wiring import TelemetryWiring

ENVIRONMENT_THREADS = 8


class Engine:
    """Environments, who starts and watches them, their logs, and the API that they speak to.

    Args:
        keepalive_clock: what idle environments age by.

    Attributes:
        access_keys: by id: those of the settings, and those of the execution roles' sessions.
        identities: which environment calls.
        hot_routes: of the Runtime API and the Extensions API.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        listen: Listen,
        server_id: str,
        owner: str,
        max_environments: int,
        observer: InvocationObserver,
        clock: Clock,
        keepalive_clock: Clock,
    ) -> None:
        self.identities = identities = EnvironmentIdentities(listen=listen, runtime_port=settings.runtime_port)
        self.executor = choose_executor(settings, server_id=server_id, owner=owner, endpoints=identities, clock=clock)
        self.telemetry = TelemetryWiring(settings, identities=identities, clock=clock)
        self.fleet = Fleet(
            clock=clock,
            logs=self.telemetry.logs,
            max_environments=max_environments,
            keepalive_seconds=settings.keepalive_seconds,
            keepalive_clock=keepalive_clock,
        )
        if settings.freeze:
            threads = ThreadPoolExecutor(ENVIRONMENT_THREADS, thread_name_prefix="freezer")
            self.fleet.freezer = Freezer(lock=self.fleet.lock, threads=threads)
        self.access_keys = access_keys(settings.access_keys, settings.account_id)
        self._credentials = make_role_credentials(settings, on_session=self.access_keys.__setitem__, clock=clock)
        answers = Answers(clock=clock, observer=observer, traces=self.telemetry.traces, later=_after_replies())
        self._supervisor = self._make_supervisor(settings, answers, clock)
        mailbox = Mailbox(
            fleet=self.fleet,
            supervisor=self._supervisor,
            answers=answers,
            clock=clock,
            stream_bandwidth=settings.stream_bandwidth,
        )
        extensions = Extensions(fleet=self.fleet, supervisor=self._supervisor, mailbox=mailbox)
        self.runtime_api = RuntimeApi(mailbox=mailbox, identities=identities, telemetry=self.telemetry.api(extensions))
        extensions_api = ExtensionsApi(extensions=extensions, identities=identities)
        self.hot_routes: Sequence[HotRoute] = (*self.runtime_api.hot_routes, *extensions_api.hot_routes)

    def _make_supervisor(self, settings: Settings, answers: Answers, clock: Clock) -> Supervisor:
        return Supervisor(
            fleet=self.fleet,
            executor=self.executor,
            clock=clock,
            variables=Variables(
                settings.function_variables,
                credentials=self._credentials,
            ),
            threads=ThreadPoolExecutor(ENVIRONMENT_THREADS, thread_name_prefix="environments"),
            answers=answers,
        )

    def start(self) -> None:
        """Clears up after an earlier server that crashed, then begins."""
        self.telemetry.start()
        self.executor.remove_orphans()

    def close(self) -> None:
        """Ends every environment; ``telemetry`` is left to the caller, who may have more to write."""
        self.fleet.close()
        if self.fleet.freezer is not None:
            # First: what is to end gracefully is thawed for that.
            self.fleet.freezer.close()
        self._supervisor.close()
        self._credentials.close()
        self.executor.close()


def _after_replies() -> Callable[[Callable[[], object]], None]:
    """Replies leave at the end of a turn of the loop (``http/outbox``), those of callers first; what is called then
    comes between them and the replies to runtimes. Without a loop, or on another thread, it is called at once.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    thread = get_ident()

    def later(work: Callable[[], object]) -> None:
        if loop is not None and get_ident() == thread:
            loop.call_soon(work)
        else:
            work()

    return later


def make_role_credentials(
    settings: Settings, *, on_session: Callable[[str, AccessKey], None], clock: Clock
) -> RoleCredentials:
    """Without an STS endpoint in the server's environment, nobody is asked."""
    named = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"} & settings.function_variables.keys()
    return RoleCredentials(
        clients=ServiceClients() if named else None,
        clock=clock,
        on_session=on_session,
        account_id=settings.account_id,
    )

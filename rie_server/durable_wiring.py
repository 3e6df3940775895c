"""Puts together what carries out durable executions; a page of the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from rie_server.config import Settings
from rie_server.durable.dead_letters import DeadLetters
from rie_server.durable.executions import DurableExecutions
from rie_server.durable.runner import HOUSE_SECONDS, SHARED_HOUSE_SECONDS, DurableRunner
from rie_server.durable.starting import DurableEvents, DurableStarts
from rie_server.durable.waiting import Waiters
from rie_server.events.worker import EventWorker
from rie_server.ports import Clock, EventInvokeConfigs, FunctionCatalog, Invoker
from rie_server.stores.database import Database
from rie_server.stores.durable import DurableExecutionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableParts:
    """
    Attributes:
        runner: to be started, drained and closed.
        starts: what an invocation of a durable function begins with.
        events: the queue, which hands events for durable functions to ``starts``.
        executions: what the API asks.
    """

    runner: DurableRunner
    starts: DurableStarts
    events: DurableEvents
    executions: DurableExecutions


def make_durable(
    database: Database,
    *,
    settings: Settings,
    invoker: Invoker,
    catalog: FunctionCatalog,
    queue: EventWorker,
    configs: EventInvokeConfigs,
    owner: str,
    is_gone: Callable[[str], bool],
    is_elsewhere: Callable[[str], bool],
    clock: Clock,
    real: Clock,
) -> DurableParts:
    """
    Args:
        is_elsewhere: whether another server that shares the database knows a function that this one does not.
        real: the clock that nobody moves, for leases and pauses.
    """
    store, waiters = DurableExecutionStore(database), Waiters()
    runner = DurableRunner(
        store=store,
        invoker=invoker,
        waiters=waiters,
        dead_letters=DeadLetters(store=store, configs=configs, add=queue.add),
        clock=clock,
        real=real,
        owner=owner,
        is_gone=is_gone,
        is_elsewhere=is_elsewhere if settings.database_url else None,
        house_seconds=SHARED_HOUSE_SECONDS if settings.database_url else HOUSE_SECONDS,
    )
    starts = DurableStarts(store=store, runner=runner, waiters=waiters, clock=clock)
    return DurableParts(
        runner=runner,
        starts=starts,
        events=DurableEvents(catalog=catalog, starts=starts, queue=queue),
        executions=DurableExecutions(store=store, runner=runner, catalog=catalog, clock=clock),
    )

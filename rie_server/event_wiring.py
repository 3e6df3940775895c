"""Puts together what carries out asynchronous invocations; a page of the composition root."""

from collections.abc import Callable

from rie_server.config import Settings
from rie_server.events.attempts import Attempts
from rie_server.events.courier import Courier
from rie_server.events.worker import HOUSE_SECONDS, SHARED_HOUSE_SECONDS, EventWorker
from rie_server.model.destination_record import deliveries
from rie_server.observing import EventJournal
from rie_server.ports import Clock, Destinations, EventInvokeConfigs, Invoker
from rie_server.stores.database import Database
from rie_server.stores.events import DatabaseEventStore


def make_event_worker(
    database: Database,
    *,
    settings: Settings,
    invoker: Invoker,
    configs: EventInvokeConfigs,
    destinations: Destinations,
    journal: EventJournal,
    owner: str,
    is_gone: Callable[[str], bool],
    is_elsewhere: Callable[[str], bool],
    clock: Clock,
    real: Clock,
) -> EventWorker:
    """
    Args:
        is_elsewhere: whether another server that shares the database knows a function that this one does not.
        real: the clock that nobody moves, for leases and pauses.
    """
    store = DatabaseEventStore(database)
    courier = Courier(destinations=destinations, rule=deliveries, journal=journal, clock=clock)
    attempts = Attempts(
        store=store,
        invoker=invoker,
        configs=configs,
        courier=courier,
        journal=journal,
        clock=clock,
        real=real,
        owner=owner,
        retry_base_seconds=settings.async_retry_base_seconds,
    )
    return EventWorker(
        store=store,
        attempts=attempts,
        courier=courier,
        journal=journal,
        clock=clock,
        real=real,
        owner=owner,
        is_gone=is_gone,
        is_elsewhere=is_elsewhere if settings.database_url else None,
        # A database of our own is written by nobody else.
        house_seconds=SHARED_HOUSE_SECONDS if settings.database_url else HOUSE_SECONDS,
    )

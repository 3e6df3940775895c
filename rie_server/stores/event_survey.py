"""The queue of events as a person sees it; reads no payloads. Fills ``observing.EventSurvey``; thread-safe.

An event whose server has died counts as in flight until another one takes it over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, false, func, null, or_, select

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.event_progress import EventFilter, EventProgress, EventState
from rie_server.stores.database import Database
from rie_server.stores.schema import CLAIMED, QUEUED, events

_is_over = events.c.ended.is_not(null())
_has_been_tried = or_(events.c.attempts > 0, events.c.refusals > 0)
_STATES: Mapping[EventState, ColumnElement[bool]] = {
    EventState.QUEUED: and_(events.c.state == QUEUED, ~_is_over, ~_has_been_tried),
    EventState.RETRYING: and_(events.c.state == QUEUED, ~_is_over, _has_been_tried),
    EventState.IN_FLIGHT: and_(events.c.state == CLAIMED, ~_is_over),
    EventState.DELIVERING: _is_over,
}
_seen = select(
    events.c.request_id,
    events.c.function_key,
    events.c.qualifier,
    events.c.enqueued_at,
    events.c.state,
    events.c.due_at,
    events.c.attempts,
    events.c.refusals,
    _is_over.label("is_over"),
).order_by(events.c.sequence)


class DatabaseEventSurvey:
    def __init__(self, database: Database) -> None:
        self._database = database

    def live_events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]:
        query = _seen.limit(limit)
        if wanted.function is not None:
            query = query.where(events.c.function_key.endswith(f":function:{wanted.function}", autoescape=True))
        if wanted.qualifier is not None:
            query = query.where(func.coalesce(events.c.qualifier, LATEST) == wanted.qualifier)
        if wanted.request_id is not None:
            query = query.where(events.c.request_id == wanted.request_id)
        if wanted.state is not None:
            query = query.where(_STATES.get(wanted.state, false()))
        with self._database.read() as connection:
            return [_progress(row) for row in connection.execute(query)]


def _progress(row: Row[Any]) -> EventProgress:
    _, _, _, region, account, _, name = row.function_key.split(":")
    is_claimed = row.state == CLAIMED
    if row.is_over:
        state = EventState.DELIVERING
    elif is_claimed:
        state = EventState.IN_FLIGHT
    else:
        state = EventState.RETRYING if row.attempts or row.refusals else EventState.QUEUED
    return EventProgress(
        request_id=row.request_id,
        function=FunctionArn(region=region, account=account, name=name, qualifier=row.qualifier),
        state=state,
        enqueued_at=row.enqueued_at,
        attempts=row.attempts,
        refusals=row.refusals,
        due_at=None if is_claimed else row.due_at,
    )

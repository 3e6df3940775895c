"""The control plane of event source mappings: what their operations do, from members to the mapping as it is then.

A change is durable when a method returns; its poller starts or stops behind it, and the mapping is in transition until
that is over. ``start`` before first use; ``close`` after the last. Thread-safe; methods block for the store, ``create``
and ``update`` for the source, too.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rie_server.errors import InvalidParameterValueException, ResourceInUseException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.model.event_source_rules import changed_settings, mapped_function, new_settings, refuse_duplicate
from rie_server.model.mapping_life_cycle import created, deleting, given_up, is_settled, settled, updated
from rie_server.model.tags import tagged, untagged
from rie_server.pollers.manager import PollerManager
from rie_server.pollers.records import MappingRecords
from rie_server.pollers.results import LastResults
from rie_server.pollers.sharing import MappingSharing
from rie_server.polling import MakePoller, MappingLeases, MappingStore, SourceInspector
from rie_server.ports import Clock

log = logging.getLogger(__name__)

# For keepers that were waiting for a poller until now.
_CLOSE_SECONDS = 0.5

FunctionExists = Callable[[FunctionArn], bool]


class EventSourceMappings:
    """
    Args:
        makers: what makes the poller of each kind of source.
        inspectors: who looks at a source before a mapping to it is created, or one that is enabled is changed; a kind
            without one is not looked at.
        function_exists: asked with the function's qualifier.
        on_gone: is told the UUID of a mapping that has been deleted.
        leases: where other servers share the store; else None.
        is_elsewhere: whether another server has made a function that this one does not know.
        real: dates changes, and times what the manager does.
    """

    def __init__(
        self,
        *,
        store: MappingStore,
        makers: Mapping[SourceKind, MakePoller],
        inspectors: Mapping[SourceKind, SourceInspector],
        function_exists: FunctionExists,
        on_gone: Callable[[str], None],
        real: Clock,
        leases: MappingLeases | None = None,
        is_elsewhere: Callable[[FunctionArn], bool] = lambda _function: False,
    ) -> None:
        self._inspectors = inspectors
        self._function_exists = function_exists
        self._on_gone = on_gone
        self._real = real
        self._records = MappingRecords(store)
        self._results = LastResults(store=self._store_result, real=real)
        self.manager = PollerManager(makers=makers, on_result=self._results.note, on_disable=self._give_up, real=real)
        self._sharing = None if leases is None else self._share(leases, is_elsewhere)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Loads every mapping; pollers of enabled ones start, and what was in transition goes on."""
        self._records.load()
        self._results.start()
        if self._sharing is not None:
            self._sharing.start()
            return
        for mapping in self._records.by_uuid.values():
            if mapping.state is not MappingState.DISABLED:
                self._apply(mapping)

    def close(self) -> None:
        """After the manager's ``drain``, if it was drained. Idempotent."""
        self.manager.drain(_CLOSE_SECONDS)
        self._results.close()
        if self._sharing is not None:
            self._sharing.close()
        self._records.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, uuid: str, *, region: str, account: str) -> EventSourceMapping:
        """
        Raises:
            ResourceNotFoundException: there is none in this region.
        """
        mapping = self._fresh().get(uuid)
        if mapping is None or (mapping.function.region, mapping.function.account) != (region, account):
            raise ResourceNotFoundException("The resource you requested does not exist.")
        return self._shown(mapping)

    def list(self, *, region: str, account: str) -> Sequence[EventSourceMapping]:
        """All mappings of a region, by UUID."""
        return [one for one in self.everything() if (one.function.region, one.function.account) == (region, account)]

    def everything(self) -> Sequence[EventSourceMapping]:
        """The mappings of all regions, by UUID."""
        mappings = self._fresh()
        return [self._shown(mappings[uuid]) for uuid in sorted(mappings)]

    def last_result(self, mapping: EventSourceMapping) -> str | None:
        """What its poller said last, also where AWS shows nothing (SQS)."""
        return self._results.latest(mapping.uuid) or mapping.last_processing_result

    # --- changing -----------------------------------------------------------------------------------------------------

    def create(self, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping:
        """A new mapping from the members of CreateEventSourceMapping.

        Raises:
            InvalidParameterValueException: in AWS's words.
            ResourceConflictException: the function polls this source already.
        """
        name, now = str(uuid.uuid4()), self._real.now()
        kind, settings = new_settings(members, uuid=name, now=now)
        mapping = created(
            name,
            kind,
            self._known_function(members["FunctionName"], region, account),
            settings,
            source_arn=members.get("EventSourceArn") or None,
            enabled=members.get("Enabled", True),
            tags=tagged({}, members.get("Tags") or {}),
            at=now,
        )
        refuse_duplicate(mapping, self._fresh().values())
        self._inspect(mapping)
        self._records.add(mapping, lambda others: refuse_duplicate(mapping, others))
        if not is_settled(mapping):
            self._apply(mapping)
        return mapping

    def update(self, uuid: str, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping:
        """Changes a mapping; what ``members`` do not mention stays.

        Raises:
            ResourceNotFoundException: there is no such mapping.
            ResourceInUseException: an earlier change is still under way.
            InvalidParameterValueException, ResourceConflictException: as ``create``.
        """
        known = self.get(uuid, region=region, account=account)
        reference = members.get("FunctionName")
        function = known.function if reference is None else self._known_function(reference, region, account)
        now = self._real.now()

        def rule(current: EventSourceMapping) -> EventSourceMapping:
            enabled = members.get("Enabled")
            changed = updated(
                current,
                function=function,
                members=current.members,
                enabled=current.enabled if enabled is None else enabled,
                at=now,
            )
            changed = replace(changed, members=changed_settings(current, members))
            refuse_duplicate(changed, self._records.by_uuid.values())
            return changed

        proposed = rule(known)
        if proposed.enabled:
            self._inspect(proposed)
        mapping = self._records.change(uuid, rule)
        self._apply(mapping)
        return self._shown(mapping)

    def delete(self, uuid: str, *, region: str, account: str) -> EventSourceMapping:
        """Begins to delete a mapping: it is gone when its poller has ended.

        Raises:
            ResourceNotFoundException, ResourceInUseException: as ``update``.
        """
        self.get(uuid, region=region, account=account)
        now = self._real.now()
        mapping = self._records.change(uuid, lambda current: deleting(current, at=now))
        self._apply(mapping)
        return self._shown(mapping)

    def tag(self, uuid: str, tags: Mapping[str, str]) -> None:
        self._records.change(uuid, lambda mapping: replace(mapping, tags=tagged(mapping.tags, tags)))

    def untag(self, uuid: str, keys: Sequence[str]) -> None:
        self._records.change(uuid, lambda mapping: replace(mapping, tags=untagged(mapping.tags, keys)))

    # --- behind the operations, on the threads of the manager ---------------------------------------------------------

    def _share(self, leases: MappingLeases, is_elsewhere: Callable[[FunctionArn], bool]) -> MappingSharing:
        return MappingSharing(
            leases,
            records=self._records,
            is_elsewhere=is_elsewhere,
            apply=self._carry_out,
            drop=self._drop,
            gone=self._tell_gone,
            real=self._real,
        )

    def _fresh(self) -> Mapping[str, EventSourceMapping]:
        """All mappings, also those that another server has made or changed a moment ago."""
        return self._records.by_uuid if self._sharing is None else self._records.load()

    def _apply(self, mapping: EventSourceMapping) -> None:
        if self._sharing is None:
            self._carry_out(mapping)
        else:
            self._sharing.look_soon()

    def _carry_out(self, mapping: EventSourceMapping) -> None:
        self.manager.apply(mapping, lambda: self._settle(mapping))

    def _settle(self, applied: EventSourceMapping) -> None:
        """Its poller is as ``applied`` wants it. What has been changed since then settles when that is applied."""
        if applied.state is MappingState.DELETING:
            self._records.remove(applied.uuid)
            self._tell_gone(applied.uuid)
            return
        with suppress(ResourceNotFoundException):
            self._records.change(
                applied.uuid, lambda current: settled(current) if _is_same(current, applied) else current
            )

    def _tell_gone(self, uuid: str) -> None:
        self.manager.forget(uuid)
        self._results.forget(uuid)
        self._on_gone(uuid)

    def _drop(self, uuid: str) -> None:
        """Another server polls it from now on, and knows how it goes."""
        self.manager.drop(uuid)
        self._results.forget(uuid)

    def _give_up(self, uuid: str, reason: str) -> None:
        now = self._real.now()
        # A change of the user's that has come first is what counts; its poller complains anew if it has to.
        with suppress(ResourceNotFoundException, ResourceInUseException):
            self._apply(self._records.change(uuid, lambda mapping: _given_up(mapping, reason, at=now)))
            log.warning("Event source mapping %s is disabled: %s", uuid, reason)

    def _store_result(self, uuid: str, result: str) -> None:
        self._records.change(uuid, lambda mapping: _with_result(mapping, result))

    def _shown(self, mapping: EventSourceMapping) -> EventSourceMapping:
        is_ours = self._sharing is None or self._sharing.holds(mapping.uuid)
        latest = self._results.latest(mapping.uuid) if is_ours else None
        return mapping if latest is None else _with_result(mapping, latest)

    def _inspect(self, mapping: EventSourceMapping) -> None:
        inspector = self._inspectors.get(mapping.kind)
        if inspector is not None:
            inspector.check(mapping)

    def _known_function(self, reference: str, region: str, account: str) -> FunctionArn:
        function = mapped_function(reference, region=region, account=account)
        if not self._function_exists(function):
            raise InvalidParameterValueException("Function does not exist")
        return function


def _with_result(mapping: EventSourceMapping, result: str) -> EventSourceMapping:
    """AWS shows none for SQS."""
    return mapping if mapping.kind is SourceKind.SQS else replace(mapping, last_processing_result=result)


def _given_up(mapping: EventSourceMapping, reason: str, *, at: float) -> EventSourceMapping:
    if mapping.state is not MappingState.ENABLED:
        raise ResourceInUseException("Cannot update the event source mapping because it is in use.")
    return given_up(mapping, reason, at=at)


def _is_same(one: EventSourceMapping, other: EventSourceMapping) -> bool:
    """Whether nobody has changed it: results and tags are told and set meanwhile."""
    return (one.state, one.function, one.members, one.enabled) == (
        other.state,
        other.function,
        other.members,
        other.enabled,
    )

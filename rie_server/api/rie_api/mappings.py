"""``/_rie/mappings``: where event source mappings stand and what their pollers do. Thread-safe."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rie_server.api.exchange import Reply, Request
from rie_server.api.rie_api.documents import json_reply, query_of, timestamp
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.event_source_rules import bootstrap_servers


class Mappings(Protocol):
    """What is asked of ``pollers.mappings.EventSourceMappings``."""

    def everything(self) -> Sequence[EventSourceMapping]: ...

    def last_result(self, mapping: EventSourceMapping) -> str | None: ...


# What the poller of a mapping says of itself, and what was counted for it; both by UUID.
Describe = Callable[[str], Mapping[str, Any]]
Counts = Callable[[str], Mapping[str, int]]


class MappingOperations:
    def __init__(self, *, mappings: Mappings, describe: Describe, counts: Counts) -> None:
        self._mappings = mappings
        self._describe = describe
        self._counts = counts

    def list(self, request: Request) -> Reply:
        """``GET ?function=``: all mappings, or those of one function by its name."""
        name = query_of(request, "function").get("function")
        found = [one for one in self._mappings.everything() if name in (None, one.function.name)]
        return json_reply({"mappings": [self._document(mapping) for mapping in found]})

    def _document(self, mapping: EventSourceMapping) -> dict[str, Any]:
        return {
            "uuid": mapping.uuid,
            "function": str(mapping.function),
            "kind": mapping.kind,
            "source": mapping.source_arn or ",".join(bootstrap_servers(mapping.members)),
            "part": _part(mapping),
            "state": mapping.state,
            "state_transition_reason": mapping.state_transition_reason,
            "last_modified": timestamp(mapping.last_modified),
            "last_processing_result": self._mappings.last_result(mapping),
            "backlog": None,
            "behind_seconds": None,
            "pollers": 0,
            "in_flight": 0,
            **self._describe(mapping.uuid),
            "counts": self._counts(mapping.uuid),
        }


def _part(mapping: EventSourceMapping) -> str | None:
    """What of its source it polls: a topic, a queue, a collection."""
    members = mapping.members
    names = members.get("Topics") or members.get("Queues")
    if names:
        return ",".join(names)
    config = members.get("DocumentDBEventSourceConfig", {})
    return ".".join(config[name] for name in ("DatabaseName", "CollectionName") if name in config) or None

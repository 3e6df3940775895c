"""Records of event sources for tests of rules that do not look into them."""

from rie_server.model.event_source import SourceRecord


def record(
    identifier: str, *, lane: str | None = "lane", arrived_at: float = 0.0, size_bytes: int = 100
) -> SourceRecord:
    return SourceRecord(
        identifier=identifier, lane=lane, arrived_at=arrived_at, size_bytes=size_bytes, document={"id": identifier}
    )


def records(identifiers: str, *, arrived_at: float = 0.0) -> tuple[SourceRecord, ...]:
    """One record for each character."""
    return tuple(record(identifier, arrived_at=arrived_at) for identifier in identifiers)

"""Which events a subscriber gets, by the version of the schema it has asked for, and in which shape.

Pure. The Logs API (2020-08-15, 2021-03-18) has a few kinds of its own and shorter records; the Telemetry API has grown
by members since 2022-07-01, and since 2022-12-13 a function that logs in JSON is given as objects, not as text.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from rie_server.telemetry.platform_events import PlatformEvent

_LOGS: Final = frozenset(("start", "end", "report", "fault", "extension", "logsSubscription", "logsDropped"))
_TELEMETRY: Final = frozenset(
    (
        "initStart",
        "initRuntimeDone",
        "initReport",
        "restoreStart",
        "restoreRuntimeDone",
        "restoreReport",
        "start",
        "runtimeDone",
        "report",
        "extension",
        "telemetrySubscription",
        "logsDropped",
    )
)
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "2020-08-15": _LOGS,
    "2021-03-18": _LOGS | {"runtimeDone"},
    "2022-07-01": _TELEMETRY,
    "2022-12-13": _TELEMETRY,
    "2025-01-29": _TELEMETRY,
}
_TEXT_ONLY: Final = frozenset(("2020-08-15", "2021-03-18", "2022-07-01"))
# Members that came with later versions.
_LATER_MEMBERS: Final = ("functionName", "functionVersion", "instanceId", "instanceMaxMemory")


def platform_document(event: PlatformEvent, time: str, schema_version: str) -> dict[str, Any] | None:
    """The event as the schema has it; None where it has none of this kind."""
    if event.type not in _KINDS[schema_version]:
        return None
    document = event.envelope(time)
    if schema_version in ("2020-08-15", "2021-03-18"):
        document["record"] = _logs_api_record(event)
    elif schema_version == "2022-07-01" and event.type in ("initStart", "restoreStart"):
        record = {name: value for name, value in event.record.items() if name not in _LATER_MEMBERS}
        document["record"] = record
    return document


def log_document(stream: str, line: str, time: str, schema_version: str, *, is_json: bool) -> dict[str, Any]:
    """A line of the function or of an extension.

    Args:
        stream: ``function`` or ``extension``.
        is_json: the function logs in JSON.
    """
    record: Any = line
    if is_json and schema_version not in _TEXT_ONLY and line.startswith("{"):
        try:
            record = json.loads(line, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            record = line
    return {"time": time, "type": stream, "record": record}


def _no_number(text: str) -> float:
    """Python's ``NaN`` and ``Infinity``, which are no JSON: such a line stays text, or nobody could read its batch."""
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


def encoded(document: dict[str, Any]) -> bytes:
    """JSON on one line."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _logs_api_record(event: PlatformEvent) -> Any:
    if event.type == "report":
        kept = ("requestId", "metrics", "tracing")
        return {name: event.record[name] for name in kept if name in event.record}
    if event.type == "runtimeDone":
        return {name: event.record[name] for name in ("requestId", "status")}
    return event.record

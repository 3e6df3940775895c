"""Which operation a path belongs to; the one table behind both doors, the worker's and Flask's.

Pure; immutable, so thread-safe.
"""

from collections.abc import Iterable

from rie_server.api.exchange import HotOperation, HotRoute

# What the Runtime, Extensions, Telemetry and Logs APIs and the credentials endpoint live under. No operation of the
# Lambda API does.
_RUNTIME_PATHS = (
    "/2018-06-01/",
    "/2020-01-01/extension/",
    "/2020-08-15/logs",
    "/2021-04-23/credentials",
    "/2022-07-01/telemetry",
)


def is_runtime_path(path: str) -> bool:
    """Whether ``path`` belongs to the Runtime API's listener."""
    return path.startswith(_RUNTIME_PATHS)


class HotTable:
    """The hot operations of one listener, or of both where one port serves everything (``listener=None``)."""

    __slots__ = ("_by_method", "_whole")

    def __init__(self, routes: Iterable[HotRoute], listener: str | None) -> None:
        self._whole: dict[tuple[str, str], HotOperation] = {}
        self._by_method: dict[str, list[tuple[str, str, int, HotOperation]]] = {}
        for route in routes:
            if listener not in (None, route.listener):
                continue
            if route.suffix:
                shortest = len(route.prefix) + len(route.suffix)
                entry = (route.prefix, route.suffix, shortest, route.operation)
                self._by_method.setdefault(route.method, []).append(entry)
            else:
                self._whole[route.method, route.prefix] = route.operation

    def find(self, method: str, path: str) -> HotOperation | None:
        whole = self._whole.get((method, path))
        if whole is not None:
            return whole
        for prefix, suffix, shortest, operation in self._by_method.get(method, ()):
            if path.endswith(suffix) and path.startswith(prefix) and len(path) > shortest:
                return operation
        return None

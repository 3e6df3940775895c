"""Which operation a request means: from method, path and query to a name and its path parameters.

Pure. Older SDKs end some paths with a slash, newer ones do not; both are the same path. Parameters may be ARNs, with
colons and, for durable executions, slashes.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qs

from rie_server.api.lambda_api.service_model import Operation

# First segments of the paths of services that share Lambda's endpoint prefix, so an endpoint override brings their
# calls here. Where a service shares a date with nothing of Lambda's, the date is enough.
_SIBLINGS = {
    ("2026-04-04",): "lambda-core",
    ("2026-10-01", "runtimes"): "lambda-core",
    ("2025-09-09",): "lambda-microvms",
    ("2025-03-07",): "lambda-web",
}


class Routes:
    """All paths of the model, most specific first."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_method_and_date: dict[tuple[str, str], list[Operation]] = {}
        for operation in operations:
            self._by_method_and_date.setdefault((operation.method, operation.segments[0]), []).append(operation)
        for group in self._by_method_and_date.values():
            group.sort(key=_specificity, reverse=True)

    def find(self, method: str, path: str, query: str) -> tuple[Operation, Mapping[str, str]] | None:
        """The operation and its path parameters, or None."""
        segments = path[1:].removesuffix("/").split("/")
        for operation in self._by_method_and_date.get((method, segments[0]), ()):
            parameters = _match(operation.segments, segments)
            if parameters is not None and _query_fits(operation, query):
                return operation, parameters
        return None


def sibling_service(path: str) -> str | None:
    """The service with Lambda's endpoint prefix, but not Lambda's API, that ``path`` belongs to."""
    segments = tuple(path[1:].split("/", 2))
    return _SIBLINGS.get(segments[:1]) or _SIBLINGS.get(segments[:2])


def _specificity(operation: Operation) -> tuple[int, bool]:
    return sum(not segment.startswith("{") for segment in operation.segments), operation.query is not None


def _match(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    position = 0
    for index, part in enumerate(template):
        following = len(template) - index - 1
        end = len(segments) - following if part.endswith("+}") else position + 1
        if end <= position or end > len(segments):
            return None
        value = "/".join(segments[position:end])
        if not part.startswith("{"):
            if value != part:
                return None
        elif not value:
            return None
        else:
            parameters[part.strip("{+}")] = value
        position = end
    return parameters if position == len(segments) else None


def _query_fits(operation: Operation, query: str) -> bool:
    if operation.query is None:
        return True
    key, value = operation.query
    return value in parse_qs(query, keep_blank_values=True).get(key, ())

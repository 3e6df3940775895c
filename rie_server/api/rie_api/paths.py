"""Which of the server's own operations a path belongs to.

Thread-safe. Operations may block, but for no longer than the clock takes to settle; whoever waits for an event gets a
deferred reply. Mistakes are raised as LambdaError; the Lambda API, behind whose door this lies, renders them.
"""

from collections.abc import Callable

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.rie_api.clock import ClockOperations
from rie_server.api.rie_api.documents import json_reply
from rie_server.api.rie_api.events import EventOperations
from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.model.function_url import PATH_FORM

HEALTH_PATH = "/_rie/health"
CLOCK_PATH = "/_rie/clock"
EVENTS_PATH = "/_rie/events"
MAPPINGS_PATH = "/_rie/mappings"
METRICS_PATH = "/metrics"
_WAIT_SUFFIX = "/wait"

Exposition = Callable[[str], tuple[str, bytes]]


class RieApi:
    """
    Args:
        function_urls: asked for whatever is below ``/_rie/urls/``.
        metrics: from an Accept header to a content type and the metrics in it.
    """

    def __init__(
        self,
        *,
        clock: ClockOperations,
        events: EventOperations,
        mappings: MappingOperations,
        function_urls: Callable[[Request], Reply | Deferred],
        metrics: Exposition,
    ) -> None:
        self._function_urls = function_urls
        self._events = events
        self._metrics = metrics
        self._by_path: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", HEALTH_PATH): lambda _: json_reply({"status": "ok"}),
            ("GET", CLOCK_PATH): clock.read,
            ("POST", CLOCK_PATH): clock.move,
            ("GET", EVENTS_PATH): events.list,
            ("GET", MAPPINGS_PATH): mappings.list,
            ("GET", METRICS_PATH): self._expose,
        }

    def __call__(self, request: Request) -> Reply | Deferred | None:
        """None where nothing of this server's own is at the path."""
        operation = self._by_path.get((request.method, request.path))
        if operation is not None:
            return operation(request)
        path = request.path
        if path.startswith(PATH_FORM):
            return self._function_urls(request)
        if request.method == "POST" and path.startswith(f"{EVENTS_PATH}/") and path.endswith(_WAIT_SUFFIX):
            return self._events.wait(request, path[len(EVENTS_PATH) + 1 : -len(_WAIT_SUFFIX)])
        return None

    def _expose(self, request: Request) -> Reply:
        content_type, body = self._metrics(request.headers.get("accept", ""))
        return Reply(200, (("Content-Type", content_type),), body)

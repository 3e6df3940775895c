"""``/_rie/clock``: what time it is for events, and how to move it. Thread-safe; ``move`` blocks until that is over."""

from rie_server.api.exchange import Reply, Request
from rie_server.api.rie_api.documents import body_of, json_reply, seconds_of, timestamp
from rie_server.clock.server_time import ServerTime

# In one step; farther takes more of them.
_FARTHEST_SECONDS = 366 * 86_400.0


class ClockOperations:
    def __init__(self, time: ServerTime) -> None:
        self._time = time

    def read(self, _request: Request) -> Reply:
        """``GET``: the time and what kind of clock tells it."""
        return json_reply(self._document())

    def move(self, request: Request) -> Reply:
        """``POST {"advance_seconds": 60}``: the reply comes when everything due meanwhile has happened."""
        seconds = seconds_of(body_of(request, "advance_seconds"), "advance_seconds", least=0, most=_FARTHEST_SECONDS)
        settled = self._time.advance(seconds)
        return json_reply({**self._document(), "settled": settled})

    def _document(self) -> dict[str, object]:
        now = self._time.clock.now()
        return {"now": timestamp(now), "epoch_seconds": now, "mode": self._time.mode, "speed": self._time.speed}

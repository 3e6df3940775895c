"""``LastProcessingResult`` of every mapping: noted at once, stored when it has changed, and not more often than that.

A poller tells after each batch; the store hears every few seconds at most, on a thread of this module's own. After a
crash a mapping shows what was stored last. Thread-safe; ``note`` does not block.
"""

import logging
import threading
from collections.abc import Callable

from rie_server.errors import RieError
from rie_server.ports import Clock, Timer

log = logging.getLogger(__name__)

STORE_SECONDS = 3.0


class LastResults:
    """
    Args:
        store: writes a mapping's last result; may block, and raise where there is no such mapping.
        real: says when it is time to store.
    """

    def __init__(self, *, store: Callable[[str, str], None], real: Clock, every_seconds: float = STORE_SECONDS) -> None:
        self._store = store
        self._real = real
        self._every_seconds = every_seconds
        self._thread = threading.Thread(target=self._run, name="mapping-results", daemon=True)
        # Guards what follows; notified when it is time to store, and at the end.
        self._due = threading.Condition()
        self._latest: dict[str, str] = {}
        self._unstored: set[str] = set()
        self._timer: Timer | None = None
        self._is_time = self._closed = False

    def start(self) -> None:
        self._thread.start()

    def note(self, uuid: str, result: str) -> None:
        with self._due:
            if self._latest.get(uuid) == result:
                return
            self._latest[uuid] = result
            self._unstored.add(uuid)
            if self._timer is None and not self._closed:
                self._timer = self._real.call_later(self._every_seconds, self._ring)

    def latest(self, uuid: str) -> str | None:
        """None where nothing was noted since the server started."""
        return self._latest.get(uuid)

    def forget(self, uuid: str) -> None:
        with self._due:
            self._latest.pop(uuid, None)
            self._unstored.discard(uuid)

    def close(self) -> None:
        """Stores what is left and joins the thread. Idempotent."""
        with self._due:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._due.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _ring(self) -> None:
        with self._due:
            self._timer = None
            self._is_time = True
            self._due.notify_all()

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._due:
                self._due.wait_for(lambda: self._closed or self._is_time)
                closed, self._is_time = self._closed, False
                unstored = {uuid: self._latest[uuid] for uuid in self._unstored}
                self._unstored.clear()
            for uuid, result in unstored.items():
                self._try(uuid, result)

    def _try(self, uuid: str, result: str) -> None:
        try:
            self._store(uuid, result)
        except RieError as failure:
            # It was deleted meanwhile, or the database is away; the next change is stored again.
            log.debug("The last result of %s was not stored: %s", uuid, failure)
        except Exception:
            log.exception("The last result of %s was not stored", uuid)

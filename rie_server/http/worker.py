"""The gunicorn worker class: one process, one uvloop, both listeners.

Imported by the arbiter, so it imports neither the application nor asyncio; that happens in the worker's own process.
"""

import faulthandler
import gc
import signal
import sys

from gunicorn.workers.base import Worker

# The arbiter takes this status as "does not start at all" and gives up instead of trying again.
BOOT_FAILED = 3

# The loop does not wait for a thread that computes for longer than this.
_SWITCH_INTERVAL_SECONDS = 0.001


class RieWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Its ``app`` is ``serve.Application``, which carries the settings and names what builds server and Flask app."""

    def load_wsgi(self) -> None:
        """The app needs the server, and the server needs the loop: see ``worker_life``."""

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        faulthandler.enable()  # SIGABRT is what the arbiter sends to a worker whose loop stands still

    def run(self) -> None:
        # What is made during a start lives for ever; the collector would look at all of it a hundred times.
        gc.disable()
        from rie_server.http.worker_life import live  # noqa: PLC0415 - the arbiter does without

        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        if not live(self):
            sys.exit(BOOT_FAILED)

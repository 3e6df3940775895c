"""One thread that waits for many file descriptors: pipes, sockets, process descriptors.

Thread-safe: ``add``, ``close_file`` and ``call`` may come from anywhere; callbacks and calls run on the watch's own
thread, one after the other, so a descriptor is never closed while it is being waited for.
"""

import contextlib
import logging
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from subprocess import Popen

log = logging.getLogger(__name__)


class FileWatch:
    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_receive, self._wake_send = socket.socketpair()
        self._wake_receive.setblocking(False)
        self._wake_send.setblocking(False)
        self._selector.register(self._wake_receive, selectors.EVENT_READ, self._drain_wake)
        self._calls: deque[Callable[[], None]] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, file: int, on_readable: Callable[[], None]) -> None:
        """Calls ``on_readable`` whenever ``file`` can be read, until ``close_file``."""
        self.call(lambda: self._register(file, on_readable))

    def close_file(self, file: int) -> None:
        """Stops waiting for ``file`` and closes it."""
        self.call(lambda: self._unregister(file))

    def when_ended(self, process: Popen[bytes], on_ended: Callable[[], None]) -> None:
        """Calls ``on_ended`` once the process has ended. Where the kernel tells of ends by descriptors, nobody has
        collected it by then, so its number still is its own.
        """
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(process.pid)
            except OSError:
                log.debug("no process descriptor; a thread waits instead", exc_info=True)
            else:

                def ended() -> None:
                    self.close_file(descriptor)
                    on_ended()

                self.add(descriptor, ended)
                return

        def wait() -> None:
            process.wait()
            self.call(on_ended)

        threading.Thread(target=wait, name=f"process-wait-{process.pid}", daemon=True).start()

    def call(self, work: Callable[[], None]) -> None:
        """Runs ``work`` on the watch's thread; at once when this is that thread. After ``close`` it is dropped."""
        if threading.current_thread() is self._thread:
            work()
            return
        self._calls.append(work)
        # A full wake-up buffer means that a wake-up is under way; a closed one that nobody waits any more.
        with contextlib.suppress(OSError):
            self._wake_send.send(b"\0")

    def close(self) -> None:
        """Runs what was handed in so far and joins the thread. Idempotent."""
        if self._closing:
            return

        def end() -> None:
            self._closing = True

        self.call(end)
        self._thread.join()
        self._selector.close()
        self._wake_receive.close()
        self._wake_send.close()

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                self._guarded(key.data)
            while self._calls:
                self._guarded(self._calls.popleft())

    def _guarded(self, work: Callable[[], None]) -> None:
        # One environment's fault must not stop the watch over all the others.
        try:
            work()
        except Exception:
            log.exception("a callback of %s failed", self._thread.name)

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_receive.recv(4096)

    def _register(self, file: int, on_readable: Callable[[], None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def _unregister(self, file: int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(file)
        with contextlib.suppress(OSError):
            os.close(file)

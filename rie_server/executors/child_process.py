"""A process in a session of its own, with the pipe that it and its children write to.

Output comes from the watch's thread, or from whoever flushes; the lock is held while it is passed on, because that is
what keeps it in order. Thread-safe.
"""

import contextlib
import fcntl
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterable
from subprocess import Popen

from rie_server.executors.file_watch import FileWatch
from rie_server.executors.log_frames import Output, OutputReader

_NOTHING_WAITS = bytes(4)  # the kernel's int
_READ_BYTES = 65536
_LAST_OUTPUT_BYTES = 1024 * 1024


class ChildProcess:
    """
    Args:
        output: the end of the pipe that is read; closed in the end.
        pass_on: takes lines and records; must not block.
    """

    def __init__(
        self, process: Popen[bytes], output: int, *, watch: FileWatch, pass_on: Callable[[Iterable[Output]], None]
    ) -> None:
        os.set_blocking(output, False)
        self.process_id = process.pid
        self._process = process
        self._watch = watch
        self._pass_on = pass_on
        self._reading = threading.Lock()
        self._output: int | None = output
        self._reader = OutputReader()
        self._signalling = threading.Lock()

    def begin(self, on_ended: Callable[[], None]) -> None:
        """Starts listening to the output and waiting for the end; ``on_ended`` is to call ``collect``."""
        assert self._output is not None
        self._watch.add(self._output, self._on_readable)
        self._watch.when_ended(self._process, on_ended)

    def flush(self) -> None:
        """Passes on what has been written so far."""
        with self._reading:
            if self._output is not None:
                waiting = fcntl.ioctl(self._output, termios.FIONREAD, _NOTHING_WAITS)
                if waiting != _NOTHING_WAITS:
                    self._read(int.from_bytes(waiting, sys.byteorder))
            if rest := self._reader.flush():
                self._pass_on(rest)

    def signal_group(self, number: int) -> None:
        # returncode is set once the leader was reaped; from then on its number may be another's.
        with self._signalling:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process_id, number)

    def collect(self) -> int:
        """Ends the process's group, passes on the last output and returns what ``Popen.wait`` does."""
        # Children first, so that none of them writes for ever into the pipe that is emptied below. The leader is
        # still unreaped here, so its group's number cannot have been used again.
        self.signal_group(signal.SIGKILL)
        with self._signalling:
            code = self._process.wait()
        with self._reading:
            if self._output is not None:
                self._read(_LAST_OUTPUT_BYTES)
                self._close()
            self._pass_on(self._reader.flush(ended=True))
        return code

    def _on_readable(self) -> None:
        with self._reading:
            if self._output is not None and not self._read(_READ_BYTES):
                # Every writer has closed: nothing can come any more, but the process may live on.
                self._close()

    def _read(self, at_most_bytes: int) -> bool:
        """Passes on what can be read without waiting; False at the end of the stream."""
        assert self._output is not None
        while at_most_bytes > 0:
            try:
                data = os.read(self._output, min(_READ_BYTES, at_most_bytes))
            except BlockingIOError:
                return True
            if not data:
                return False
            at_most_bytes -= len(data)
            self._pass_on(self._reader.feed(data))
        return True

    def _close(self) -> None:
        if self._output is not None:
            self._watch.close_file(self._output)
            self._output = None

"""One environment that runs as a process of this machine.

Output and exit come from the watch's thread, ``flush_output`` and ``stop`` from any. ``on_exit`` is called once, after
the last line, whoever keeps the pipe open. The output lock is held while lines are delivered, because that is what
keeps them in order; observers do not block.
"""

import contextlib
import fcntl
import logging
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from subprocess import Popen

from rie_server.executors.cgroup import Cgroup, kill_and_remove
from rie_server.executors.environment_folders import EnvironmentFolder
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.leftovers import kill_marked, signal_marked
from rie_server.executors.log_frames import OutputReader, tell
from rie_server.executors.memory_gauge import MemoryGauge
from rie_server.model.environment import EnvironmentExit
from rie_server.ports import Clock, EnvironmentObserver

log = logging.getLogger(__name__)

_NOTHING_WAITS = bytes(4)  # the kernel's int
_READ_BYTES = 65536
_LAST_OUTPUT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What one environment occupies and gives back at its end."""

    environment_id: str
    folder: EnvironmentFolder
    cgroup: Cgroup | None
    release_address: Callable[[str], None]

    def freeze(self) -> None:
        """Stops every process of the environment for a while. Finding them takes milliseconds where there is no control
        group to freeze.
        """
        if self.cgroup is None or not self.cgroup.freeze():
            signal_marked(self.folder.marker, signal.SIGSTOP)

    def thaw(self) -> None:
        """The opposite."""
        if self.cgroup is None or not self.cgroup.thaw():
            signal_marked(self.folder.marker, signal.SIGCONT)

    def free(self, clock: Clock) -> None:
        """Ends what is left and gives everything back. May take a moment: runs on the cleanup thread."""
        self.release_address(self.environment_id)
        # Also with a control group: what was forked before the move into it is found by its variables.
        kill_marked(self.folder.marker)
        if self.cgroup is not None and not kill_and_remove(self.cgroup, clock):
            log.error("the control group of environment %s cannot be removed", self.environment_id)
        self.folder.remove()


class ProcessEnvironment:
    """
    Args:
        is_alone: no process but the runtime's and its children is in the environment, so all end with the runtime.
    """

    def __init__(
        self,
        *,
        process: Popen[bytes],
        output: int,
        holdings: Holdings,
        observer: EnvironmentObserver,
        watch: FileWatch,
        clock: Clock,
        on_stopped: Callable[["ProcessEnvironment"], None],
        is_alone: bool = True,
    ) -> None:
        self.holdings = holdings
        self.exited = threading.Event()
        self._process = process
        self._observer = observer
        self._watch = watch
        self._clock = clock
        self._on_stopped = on_stopped
        self._is_alone = is_alone
        self._reading = threading.Lock()
        self._output: int | None = output
        self._lines = OutputReader()
        self._stopping = threading.Lock()
        self._signalling = threading.Lock()
        self._stop_done = False
        files = holdings.cgroup.memory_files if holdings.cgroup else None
        self._gauge = MemoryGauge(process_id=process.pid, files=files, clock=clock)

    # --- RunningEnvironment -------------------------------------------------------------------------------------------

    def flush_output(self) -> None:
        with self._reading:
            if self._output is not None:
                waiting = fcntl.ioctl(self._output, termios.FIONREAD, _NOTHING_WAITS)
                if waiting != _NOTHING_WAITS:
                    self._deliver(int.from_bytes(waiting, sys.byteorder))
            if rest := self._lines.flush():
                tell(self._observer, rest)

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        return self._gauge.peak_mb(max_age_seconds)

    def start_runtime(self) -> None:
        """It was started at once: there are no external extensions."""

    def end_runtime(self, *, grace_seconds: float) -> None:
        self._signal_group(signal.SIGTERM)
        self._clock.call_later(grace_seconds, partial(self._signal_group, signal.SIGKILL))

    def freeze(self) -> None:
        self.holdings.freeze()

    def thaw(self) -> None:
        self.holdings.thaw()

    def stop(self) -> None:
        with self._stopping:
            if self._stop_done:
                return
            self._stop_done = True
        self.kill()
        self._on_stopped(self)

    # --- for the executor ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts listening to the output and waiting for the end."""
        assert self._output is not None
        self._watch.add(self._output, self._on_readable)
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(self._process.pid)
            except OSError:
                log.debug("no process descriptor; a thread waits instead", exc_info=True)
            else:
                self._watch.add(descriptor, lambda: self._on_ended(descriptor))
                return
        name = f"process-wait-{self._process.pid}"
        threading.Thread(target=self._wait_in_thread, name=name, daemon=True).start()

    def kill(self) -> None:
        """SIGKILL to every process that can be named at once; ``Holdings.free`` finds the rest."""
        self._signal_group(signal.SIGKILL)
        if self._is_alone and self.holdings.cgroup is not None:
            self.holdings.cgroup.kill(rounds=1)

    # --- output -------------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        with self._reading:
            if self._output is not None and not self._deliver(_READ_BYTES):
                # Every writer has closed: nothing can come any more, but the process may live on.
                self._close_output()

    def _deliver(self, at_most_bytes: int) -> bool:
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
            tell(self._observer, self._lines.feed(data))
        return True

    def _close_output(self) -> None:
        if self._output is not None:
            self._watch.close_file(self._output)
            self._output = None

    # --- the end ------------------------------------------------------------------------------------------------------

    def _wait_in_thread(self) -> None:
        self._process.wait()
        self._watch.call(self._ended)

    def _on_ended(self, descriptor: int) -> None:
        self._watch.close_file(descriptor)
        self._ended()

    def _ended(self) -> None:
        out_of_memory = self._out_of_memory()
        self._gauge.read()
        # Children first, so that none of them writes for ever into the pipe that is emptied below. The leader is
        # still unreaped here, so its group's number cannot have been used again.
        self.kill()
        with self._signalling:
            code = self._process.wait()
        with self._reading:
            if self._output is not None:
                self._deliver(_LAST_OUTPUT_BYTES)
                self._close_output()
            tell(self._observer, self._lines.flush(ended=True))
        if code < 0:
            exit_ = EnvironmentExit(signal=-code, out_of_memory=out_of_memory and -code == signal.SIGKILL)
        else:
            exit_ = EnvironmentExit(status=code)
        self.exited.set()
        self._observer.on_exit(exit_)

    def _out_of_memory(self) -> bool:
        return self.holdings.cgroup is not None and self.holdings.cgroup.out_of_memory_kills() > 0

    def _signal_group(self, number: int) -> None:
        # returncode is set once the leader was reaped; from then on its number may be another's.
        with self._signalling:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)

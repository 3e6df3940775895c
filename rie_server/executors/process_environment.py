"""One environment that runs as a process of this machine.

Output and exit come from the watch's thread, ``flush_output`` and ``stop`` from any. ``on_exit`` is called once, after
the last line, whoever keeps the pipe open. The output lock is held while lines are delivered, because that is what
keeps them in order; observers do not block.
"""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from subprocess import Popen

from rie_server.executors.cgroup import Cgroup, kill_and_remove
from rie_server.executors.child_process import ChildProcess
from rie_server.executors.environment_folders import EnvironmentFolder
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.leftovers import kill_marked, signal_marked
from rie_server.executors.log_frames import tell
from rie_server.executors.memory_gauge import MemoryGauge
from rie_server.model.environment import EnvironmentExit
from rie_server.ports import Clock, EnvironmentObserver

log = logging.getLogger(__name__)


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
        self._observer = observer
        self._child = ChildProcess(process, output, watch=watch, pass_on=partial(tell, observer))
        self._clock = clock
        self._on_stopped = on_stopped
        self._is_alone = is_alone
        self._stopping = threading.Lock()
        self._stop_done = False
        files = holdings.cgroup.memory_files if holdings.cgroup else None
        self._gauge = MemoryGauge(process_id=process.pid, files=files, clock=clock)

    # --- RunningEnvironment -------------------------------------------------------------------------------------------

    def flush_output(self) -> None:
        self._child.flush()

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        return self._gauge.peak_mb(max_age_seconds)

    def start_runtime(self) -> None:
        """It was started at once: there are no external extensions."""

    def end_runtime(self, *, grace_seconds: float) -> None:
        self._child.signal_group(signal.SIGTERM)
        self._clock.call_later(grace_seconds, partial(self._child.signal_group, signal.SIGKILL))

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
        self._child.begin(self._ended)

    def kill(self) -> None:
        """SIGKILL to every process that can be named at once; ``Holdings.free`` finds the rest."""
        self._child.signal_group(signal.SIGKILL)
        if self._is_alone and self.holdings.cgroup is not None:
            self.holdings.cgroup.kill(rounds=1)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _ended(self) -> None:
        out_of_memory = self._out_of_memory()
        self._gauge.read()
        self.kill()
        code = self._child.collect()
        if code < 0:
            exit_ = EnvironmentExit(signal=-code, out_of_memory=out_of_memory and -code == signal.SIGKILL)
        else:
            exit_ = EnvironmentExit(status=code)
        self.exited.set()
        self._observer.on_exit(exit_)

    def _out_of_memory(self) -> bool:
        return self.holdings.cgroup is not None and self.holdings.cgroup.out_of_memory_kills() > 0

"""An environment with external extensions that runs in a container: the shell in it is told by signals, and tells.

See ``docker_extensions``. Thread-safe, as ``docker_environment``.
"""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from rie_server.executors.docker_environment import DockerEnvironment
from rie_server.executors.docker_extensions import News, read_news
from rie_server.executors.log_frames import Output
from rie_server.model.environment import EnvironmentExit

_STDERR = 2
# A signal that comes while the shell is about to wait is noticed only with the next one.
_START_AGAIN_SECONDS = 0.2
_STARTS_MOST = 50


class ExtendedDockerEnvironment(DockerEnvironment):
    """
    Args:
        mark: stands before the shell's news.
        names: of the extensions.
    """

    def __init__(self, *, mark: str, names: Sequence[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._mark = mark.encode()
        self._names = set(names)
        self._started = threading.Event()

    def start_runtime(self) -> None:
        self._ask_to_start(_STARTS_MOST)

    def end_runtime(self, *, grace_seconds: float) -> None:
        self._keeper.signal(self, "SIGTERM")
        self._clock.call_later(grace_seconds, partial(self._keeper.signal, self, "SIGUSR1"))

    def _ask_to_start(self, times: int) -> None:
        if times and not self._started.is_set() and not self.is_stopped and not self.exited.is_set():
            self._keeper.signal(self, "SIGUSR2")
            self._clock.call_later(_START_AGAIN_SECONDS, partial(self._ask_to_start, times - 1))

    def _pass_on(self, stream: int, one: Output) -> None:
        if not isinstance(one, bytes):
            self._observer.on_record(one)
            return
        if stream == _STDERR:
            self._observer.on_extension_output(one)
            return
        # What the runtime had written without a newline stands before the mark.
        before, found, text = one.partition(self._mark)
        if before or not found:
            self._observer.on_output(before)
        if found and (news := read_news(text.decode("utf-8", "replace"))) is not None:
            # Not here: the output's lock is held.
            self._keeper.later(partial(self._hear, news))

    def _hear(self, news: News) -> None:
        match news.kind:
            case "started":
                self._started.set()
            case "ended":
                self._started.set()
                self._keeper.look_at_end(self, news.exit_code)
            case "refused":
                self.tell_runtime_exit(EnvironmentExit(launch_error=f"fork/exec {news.words}"))
            case _:
                with self._state:
                    known = news.name in self._names
                    self._names.discard(news.name)
                if known:
                    self._observer.on_extension_exit(news.name, news.exit())

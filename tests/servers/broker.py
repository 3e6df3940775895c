"""What the tests' brokers have in common: a process in a private folder, on free loopback ports.

``with`` starts it, waits until it answers, and ends it, with all that it has started, by its process ids. ``kill`` and
``start`` let a test crash it and bring it back, on the same ports, with what it had stored.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

START_SECONDS = 60.0
STOP_SECONDS = 20.0
STARTS = 4
# A port that was free may be somebody else's a moment later: tests of several checkouts run on one machine.
PORT_IS_TAKEN = ("Address already in use", "eaddrinuse", "failed to bind")


class Broker(ABC):
    def __init__(self, name: str) -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix=f"rie-{name.lower()}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._has_answered = False

    @abstractmethod
    def _choose_ports(self) -> None:
        """Takes free ports and writes whatever names them; again where one of them was taken in the meantime."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """What starts it, with whatever an earlier start has stored."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it can be used."""

    def _environ(self) -> Mapping[str, str] | None:
        """None for the tests' own."""
        return None

    def __enter__(self) -> Self:
        try:
            self._choose_ports()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Returns once it answers."""
        for left in reversed(range(STARTS)):
            told = self._start()
            if told is None:
                self._has_answered = True
                return
            self.kill()
            if not left or not any(words in told for words in PORT_IS_TAKEN):
                pytest.fail(f"{self._name} does not answer: {told[-4000:]}")
            if not self._has_answered:
                self._choose_ports()

    def kill(self) -> None:
        """SIGKILL, as when the machine goes down."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as when it is updated."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It stands still, with its connections open, as on a machine that has no time for it; until ``resume``."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        os.killpg(self._process.pid, what)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> str | None:
        """None once it answers, or what it has said instead."""
        said = self._folder / "output"
        with said.open("wb") as output:
            self._process = process = subprocess.Popen(
                [str(one) for one in self._command()],
                env=self._environ(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            told = said.read_text(errors="replace")
            is_taken = any(words in told for words in PORT_IS_TAKEN)
            if process.poll() is not None or is_taken or time.monotonic() > deadline:
                return told or f"nothing was said; exit status {process.poll()}"
            time.sleep(0.05)
        return None

    def _end(self, how: signal.Signals) -> None:
        """Its session holds whatever it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

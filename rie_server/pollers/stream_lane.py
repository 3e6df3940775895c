"""One lane of a shard: gathers its records to batches, and has one after the other run to its end.

A shard has as many lanes as the mapping's ParallelizationFactor; a partition key always has the same one. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from rie_server.model.batching import Batch, BatchAccumulator
from rie_server.model.event_source import SourceRecord
from rie_server.model.tumbling_window import TumblingWindow
from rie_server.pollers.stream_context import StreamTools
from rie_server.pollers.stream_run import Frame, PlainFrame, StreamRun
from rie_server.pollers.stream_windows import ShardWindows, WindowFrame
from rie_server.ports import Timer

# Told records that have ended, and the window that is open now; must not block.
OnFinished = Callable[[Sequence[SourceRecord], TumblingWindow | None], None]


class StreamLane:
    """
    Args:
        windows: None without TumblingWindowInSeconds.
        finished: see ``OnFinished``.
        look_now: the shard is to be read at once, to see whether a window is over; must not block.
    """

    def __init__(
        self,
        shard_id: str,
        *,
        tools: StreamTools,
        windows: ShardWindows | None,
        finished: OnFinished,
        look_now: Callable[[], None],
    ) -> None:
        self._shard_id = shard_id
        self._tools = tools
        self._windows = windows
        self._finished = finished
        self._look_now = look_now
        self._plain = PlainFrame(tools)
        # Guards what follows.
        self._lock = threading.Lock()
        self._gathering = BatchAccumulator(
            batch_size=tools.mapping.batch_size, window_seconds=tools.mapping.batching_window_seconds
        )
        self._ready: deque[Batch] = deque()
        self._run: StreamRun | None = None
        self._timer: Timer | None = None
        self._window_timer: Timer | None = None
        self._is_ended = False
        # Everything that arrived before this time has been read.
        self._tip_at: float | None = None

    @property
    def is_idle(self) -> bool:
        with self._lock:
            is_open = self._windows is not None and self._windows.window is not None
            return self._run is None and not self._ready and not len(self._gathering) and not is_open

    @property
    def is_running(self) -> bool:
        return self._run is not None

    def feed(self, records: Sequence[SourceRecord]) -> None:
        """Records that the lane had none of before, in the shard's order."""
        with self._lock:
            self._ready.extend(self._gathering.add(records, now=self._tools.clock.monotonic()))
        self.look()

    def at_tip(self, at: float) -> None:
        """Everything that arrived before ``at`` (seconds since the epoch, by the server's time) has been fed."""
        with self._lock:
            self._tip_at = at
        self.look()

    def end(self) -> None:
        """No more records come."""
        with self._lock:
            self._is_ended = True
        self.look()

    def look(self) -> None:
        """Begins what is due, unless something is on its way."""
        with self._lock:
            if self._run is not None or self._tools.threads.stopping.is_set():
                return
            run = self._run = self._next()
            if run is None:
                self._set_timers()
                return
        run.start()

    # --- with the lock held -------------------------------------------------------------------------------------------

    def _next(self) -> StreamRun | None:
        if not self._ready:
            now = self._tools.clock.monotonic()
            due = self._gathering.flush() if self._is_ended else self._gathering.take_due(now=now)
            if due:
                self._ready.append(due)
        if self._windows is not None:
            return self._next_in_window(self._windows)
        return self._make(self._ready.popleft(), self._plain) if self._ready else None

    def _next_in_window(self, windows: ShardWindows) -> StreamRun | None:
        if self._ready:
            records, rest = windows.next_run(self._ready.popleft())
            if rest:
                self._ready.appendleft(rest)
            if records:
                return self._make(records, WindowFrame(windows))
        elif windows.window is None or not (self._is_ended or windows.is_over(self._tip_at)):
            return None
        is_early = windows.window is not None and windows.window.is_overgrown
        return self._make((), WindowFrame(windows, is_final=True, is_early=is_early))

    def _make(self, records: Batch, frame: Frame) -> StreamRun:
        return StreamRun(
            records,
            shard_id=self._shard_id,
            frame=frame,
            tools=self._tools,
            finished=self._on_finished,
            over=lambda: self._on_over(frame if not records else None),
        )

    def _set_timers(self) -> None:
        for timer in (self._timer, self._window_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._window_timer = None
        clock, closes_at = self._tools.clock, self._gathering.closes_at
        if closes_at is not None:
            self._timer = clock.call_later(closes_at - clock.monotonic(), self.look)
        elif self._windows is not None and self._windows.window is not None:
            seconds = self._windows.window.end - clock.now()
            if seconds > 0:
                self._window_timer = clock.call_later(seconds, self._look_now)

    # --- from the run -------------------------------------------------------------------------------------------------

    def _on_finished(self, records: Sequence[SourceRecord]) -> None:
        self._finished(records, None if self._windows is None else self._windows.window)

    def _on_over(self, final: Frame | None) -> None:
        """
        Args:
            final: of a window's final invocation.
        """
        if isinstance(final, WindowFrame) and self._windows is not None:
            with self._lock:
                self._windows.close(was_early=final.is_early)
            self._on_finished(())
        with self._lock:
            self._run = None
        self.look()
        self._finished((), None if self._windows is None else self._windows.window)

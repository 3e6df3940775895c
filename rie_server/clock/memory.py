"""Where a clock that is not the real one had got to, so that time does not go back when the server is started again.

Events in the queue carry times of that clock: after a restart they are due as long from now as they were before.
"""

import contextlib
import logging
import math
from pathlib import Path

log = logging.getLogger(__name__)


class RememberedTime:
    """
    Args:
        path: a small file in the data folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def not_before(self, now: float) -> float:
        """``now``, or the remembered time if that is later."""
        remembered = -math.inf
        with contextlib.suppress(FileNotFoundError, ValueError):
            remembered = float(self._path.read_text(encoding="ascii"))
        return max(now, remembered) if math.isfinite(remembered) else now

    def remember(self, now: float) -> None:
        """Best effort: a clock that forgets is worth a warning, not a failed request."""
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(repr(now), encoding="ascii")
            beside.replace(self._path)
        except OSError as trouble:
            log.warning("The time of the clock cannot be remembered in %s: %s", self._path, trouble)

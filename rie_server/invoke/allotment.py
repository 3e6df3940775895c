"""What provisioned concurrency keeps in one pool, and how its replacements fare.

Guarded by the fleet's lock.
"""

from typing import Final

# Why an environment that was started ahead did not come to stand ready, as AWS names it.
INIT_FAILURE: Final = "FUNCTION_ERROR_INIT_FAILURE"
# One that ends without having served anybody is replaced after a pause, which doubles from the first to the last.
FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 60.0


class Allotment:
    """
    Attributes:
        wanted: how many environments are to stand ready.
        failure: why the last one that was started does not; None when it does.
        not_before: monotonic seconds: no further one is started until then.
    """

    __slots__ = ("_pause_seconds", "failure", "not_before", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.failure: str | None = None
        self.not_before = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def came_to_stand(self) -> None:
        """An environment has been initialized."""
        self.failure = None

    def lost(self, now: float, *, initialized: bool, has_served: bool) -> None:
        """An environment has ended by itself."""
        if not initialized:
            self.failure = INIT_FAILURE
        if has_served:
            self._pause_seconds = FIRST_PAUSE_SECONDS
            return
        self.not_before = now + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, LAST_PAUSE_SECONDS)

"""Who may have how many of a bounded number of slots: nobody so many that a newcomer finds none.

A lane may hold as many slots as are still free. One lane alone so gets half of them, two get a third each, and there
is always one left for a lane that comes next. Not thread-safe; rules on counts, without I/O.
"""

from collections import Counter
from collections.abc import Sequence


class Shares:
    """
    Args:
        slots: how many there are in all.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._held: Counter[str] = Counter()
        self._first = 0

    @property
    def held(self) -> int:
        """Slots that are taken, by all lanes together."""
        return self._held.total()

    def may_take(self, lane: str) -> bool:
        return self._held[lane] < self._slots - self.held

    def take(self, lane: str, slots: int = 1) -> None:
        self._held[lane] += slots

    def give_back(self, lane: str) -> None:
        self._held[lane] -= 1
        if not self._held[lane]:
            del self._held[lane]

    def allot(self, lanes: Sequence[str]) -> dict[str, int]:
        """How many more slots each of ``lanes`` may take now if all of them take theirs; lanes that get none are not
        named. Whom the last slots go to changes from call to call.
        """
        self._first += 1
        start = self._first % len(lanes) if lanes else 0
        turns = [*lanes[start:], *lanes[:start]]
        free = self._slots - self.held
        allotted: Counter[str] = Counter()
        while turns and free > 0:
            still: list[str] = []
            for lane in turns:
                if self._held[lane] + allotted[lane] < free:
                    allotted[lane] += 1
                    free -= 1
                    still.append(lane)
            turns = still
        return dict(allotted)

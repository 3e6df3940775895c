"""What of a durable execution's state a replay looks at.

Pure. What happened inside a context that has ended is not told any more, because its result stands for it, unless the
context asks for it (``ReplayChildren``).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOutline:
    """As much of an operation as tells whether it is seen."""

    id: str
    sequence: int
    parent_id: str | None
    hides_children: bool


def replayed(outlines: Iterable[OperationOutline]) -> list[str]:
    """Ids of the operations that a replay needs, in the order in which they began: parents come before children."""
    hidden: set[str] = set()
    seen: list[str] = []
    for outline in sorted(outlines, key=lambda one: one.sequence):
        is_hidden = outline.parent_id in hidden
        if not is_hidden:
            seen.append(outline.id)
        if is_hidden or outline.hides_children:
            hidden.add(outline.id)
    return seen

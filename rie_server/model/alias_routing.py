"""Which version an invocation of an alias runs.

Pure: chance comes from the caller. The versions are whatever the caller has for them.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

Version = TypeVar("Version")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedRoute(Generic[Version]):
    """An alias that shares its invocations between two versions.

    Attributes:
        weight: the share of ``additional``, from 0.0 to 1.0; the rest is ``primary``'s.
    """

    primary: Version
    additional: Version
    weight: float


def routed(route: WeightedRoute[Version], drawn: float) -> Version:
    """The version for one invocation; ``drawn`` is evenly distributed from 0.0 to 1.0, which it never reaches."""
    return route.additional if drawn < route.weight else route.primary

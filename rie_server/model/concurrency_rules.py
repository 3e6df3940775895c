"""Reserved concurrency: how much of the account's limit functions may have for themselves.

Pure. AWS keeps at least 100 of an account's executions for the functions that have reserved none. An account here may
have fewer than AWS's 1000 executions, because the host cannot run more; it then keeps half of them, so that a share can
be reserved on a small host too. (AWS scales the minimum for its own small accounts as well, and names it in the
message.)
"""

from collections.abc import Iterable

from rie_server.errors import UnreservedConcurrencyException
from rie_server.limits import UNRESERVED_CONCURRENCY_MINIMUM


def minimum_unreserved(limit: int) -> int:
    """What must be left of an account's ``limit`` for functions without a reservation."""
    return min(UNRESERVED_CONCURRENCY_MINIMUM, max(1, limit // 2))


def unreserved(limit: int, reserved: Iterable[int]) -> int:
    """What is left of ``limit``. Reservations made on a larger host never take the minimum away."""
    return max(minimum_unreserved(limit), limit - sum(reserved))


def check_reservation(wanted: int, *, current: int | None, others: Iterable[int], limit: int) -> None:
    """Lets a function reserve ``wanted`` executions instead of ``current``, beside those of all ``others``.

    A reservation may always be lowered, also on a host that could not grant it any more.

    Raises:
        UnreservedConcurrencyException: too little would be left for everybody else.
    """
    minimum = minimum_unreserved(limit)
    if wanted > (current or 0) and limit - sum(others) - wanted < minimum:
        raise UnreservedConcurrencyException(minimum)

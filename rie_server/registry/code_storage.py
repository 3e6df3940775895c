"""How much code a region of an account keeps, and whether there is room for more.

Read from any thread; asked for room by the registry's writer thread, so that two callers cannot both take the rest.
"""

from collections.abc import Callable

from rie_server.errors import CodeStorageExceededException

# Bytes of a region (first) of an account (second).
Usage = Callable[[str, str], int]


class CodeStorage:
    """
    Args:
        limit_bytes: AWS's quota, or another one.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._usages: list[Usage] = []

    def count(self, usage: Usage) -> None:
        """What ``usage`` says counts, too."""
        self._usages.append(usage)

    def used_bytes(self, region: str, account: str) -> int:
        return sum(usage(region, account) for usage in self._usages)

    def check_room(self, region: str, account: str, more_bytes: int) -> None:
        """Lets so much more code be kept, of whatever function, version or layer.

        Raises:
            CodeStorageExceededException: it is more than the quota.
        """
        if self.used_bytes(region, account) + more_bytes > self.limit_bytes:
            raise CodeStorageExceededException("Code storage limit exceeded.")

"""Whose claim it is, when servers share a database.

Pure. A claim names a data folder and a process. Of a process that used the same data folder this machine can tell
whether it still lives; of any other it cannot (another machine, another container), and the lease has to expire.
"""

from collections.abc import Callable


def claim_owner(server_id: str, process: str) -> str:
    """How a server names itself in its claims."""
    return f"{server_id}/{process}"


def is_gone(owner: str, *, server_id: str, is_alive: Callable[[str], bool]) -> bool:
    """Whether ``owner`` is known to be dead. ``is_alive`` tells it of a process."""
    folder, _, process = owner.partition("/")
    return folder == server_id and not is_alive(process)

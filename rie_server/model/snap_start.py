"""SnapStart: which functions may have it, and what an invocation is told when a restored environment fails.

Pure. This server takes no snapshots. A version with SnapStart is initialized as others are, then told that it has been
restored: what its hooks do before and after happens, and its uniqueness is its own.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import (
    InvalidParameterValueException,
    LambdaError,
    SnapStartException,
    SnapStartTimeoutException,
)
from rie_server.limits import EPHEMERAL_STORAGE_MB_DEFAULT
from rie_server.model.arn import LATEST
from rie_server.model.environment import RuntimeState

# Java 11, Python 3.12, .NET 8, and whatever came later.
_FIRST: Final[Mapping[str, tuple[int, ...]]] = {"java": (11,), "python": (3, 12), "dotnet": (8,)}
_RUNTIME: Final = re.compile(r"([a-z]+)(\d+(?:\.\d+)*)")


def is_on(configuration: Mapping[str, Any], version: str) -> bool:
    """Whether this version of a function has a snapshot in AWS: published ones may, ``$LATEST`` never."""
    return version != LATEST and configuration.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"


def check_snap_start(configuration: Mapping[str, Any]) -> None:
    """Lets a function have this configuration.

    Raises:
        InvalidParameterValueException: it has SnapStart, and something that AWS does not offer with it.
    """
    if configuration["SnapStart"]["ApplyOn"] != "PublishedVersions":
        return
    runtime = configuration.get("Runtime")
    if runtime is None:
        raise _not_supported("Container image")
    if not _is_supported(runtime):
        raise _not_supported(runtime)
    if configuration["EphemeralStorage"]["Size"] > EPHEMERAL_STORAGE_MB_DEFAULT:
        raise _not_supported(f"Ephemeral storage of more than {EPHEMERAL_STORAGE_MB_DEFAULT} MB")
    if configuration.get("FileSystemConfigs"):
        raise _not_supported("Amazon EFS")


def restore_refusal(state: RuntimeState, *, overdue: bool) -> LambdaError | None:
    """What whoever waits for an environment is told when it ends in this state; None where it was not being restored.

    Args:
        overdue: it took too long.
    """
    if state not in (RuntimeState.RESTORING, RuntimeState.RESTORE_ERROR):
        return None
    if overdue and state is RuntimeState.RESTORING:
        return SnapStartTimeoutException("Lambda couldn't restore the snapshot within the timeout limit.")
    return SnapStartException(
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs."
    )


def _is_supported(runtime: str) -> bool:
    match = _RUNTIME.match(runtime)
    if match is None or match[1] not in _FIRST:
        return False
    return tuple(int(part) for part in match[2].split(".")) >= _FIRST[match[1]]


def _not_supported(what: str) -> LambdaError:
    return InvalidParameterValueException(f"{what} is not supported for SnapStart enabled functions.")

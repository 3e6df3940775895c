"""In which file a log group lies. Pure.

``/aws/lambda/NAME``, the group of functions that name none, is ``NAME.log``; any other is ``groups/GROUP.log`` with
``~`` for each slash, which no group's name may hold.
"""

import hashlib
import re
from pathlib import Path

_FUNCTION_GROUP = re.compile(r"/aws/lambda/([A-Za-z0-9_-]+)")
# A file's name has at most 255 bytes, a group's 512 characters.
_LONGEST_NAME = 200


def log_file(directory: Path, log_group: str) -> Path:
    """``directory`` is the region's."""
    match = _FUNCTION_GROUP.fullmatch(log_group)
    if match is not None:
        return directory / f"{match[1]}.log"
    name = log_group.replace("/", "~")
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return directory / "groups" / f"{name}.log"

"""Tags of a function, and how many there may be.

Pure.
"""

from collections.abc import Iterable, Mapping

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import TAGS


def tagged(current: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """``current`` with ``added``, which win.

    Raises:
        InvalidParameterValueException: more tags than AWS allows.
    """
    tags = {**current, **added}
    if len(tags) > TAGS:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
    return tags


def untagged(current: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """``current`` without ``keys``; keys that are not there do no harm."""
    removed = set(keys)
    return {key: value for key, value in current.items() if key not in removed}

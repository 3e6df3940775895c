"""Lists in pages: ``MaxItems`` and ``Marker`` in, ``NextMarker`` out.

Pure. A marker names the last item that was shown, so a page begins at the right place even when items have come or gone
meanwhile.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rie_server.errors import InvalidParameterValueException

_T = TypeVar("_T")


def page(
    items: Sequence[_T], members: Mapping[str, Any], *, largest: int, name: Callable[[_T], str]
) -> tuple[Sequence[_T], str | None]:
    """The page that ``members`` ask for, and the marker of the next one.

    Args:
        items: sorted by ``name``.
        largest: page size that AWS does not exceed, whatever is asked.

    Raises:
        InvalidParameterValueException: a marker that no list has given.
    """
    if members.get("Marker"):
        after = _read_marker(members["Marker"])
        items = [item for item in items if name(item) > after]
    size = min(members.get("MaxItems", largest), largest)
    shown = items[:size]
    return shown, _marker(name(shown[-1])) if len(items) > size else None


def _marker(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode("ascii")


def _read_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidParameterValueException(f"Invalid marker: {marker}") from None

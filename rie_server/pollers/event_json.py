"""Events as JSON: by orjson where it is installed, which takes a tenth of the time, else by the standard library.

Pure. Both write the same bytes, but for NaN, which is no JSON: orjson writes null. The extras of brokers bring orjson.
Bytes within an event are JSON already (``SourceRecord.document``) and stand there as they are.
"""

import json
from collections.abc import Mapping
from typing import Any

try:
    import orjson
except ImportError:  # no wheel for this machine, or none of the extras
    orjson = None  # type: ignore[assignment]


def event_json(event: Mapping[str, Any]) -> bytes:
    """UTF-8 without spaces."""
    if orjson is not None:
        try:
            return orjson.dumps(event, default=orjson.Fragment)
        except TypeError:
            pass  # integers of more than 64 bits, which the standard library writes
    return standard_json(event)


def standard_json(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False, default=json.loads).encode()

"""X-Ray: trace headers, and which invocations are sampled. Pure.

AWS's rules: a function with active tracing follows the decision in the header that it is called with; where nobody has
decided, the first invocation of each second and five in a hundred of the others are sampled. A function without it
passes the header on and has no segments.
"""

from dataclasses import dataclass
from typing import Final

SAMPLED_OF_THE_REST: Final = 0.05

_PARENT_DIGITS: Final = 16


def is_trace_header(text: str) -> bool:
    """Whether a caller's header can be passed on: what none can hold would end the runtime."""
    return bool(text) and text.isascii() and text.isprintable()


def new_trace_header(epoch_seconds: float, trace_digits: str) -> str:
    """The header of a trace that begins here and is not sampled.

    Its parent repeats digits of its root. So it is known again as one that no caller has decided about, also after it
    has lain in a queue.

    Args:
        trace_digits: random hexadecimal digits, of which 24 are used.
    """
    digits = trace_digits[:24]
    return f"Root=1-{int(epoch_seconds):08x}-{digits};Parent={digits[-_PARENT_DIGITS:]};Sampled=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHeader:
    """What is read of a header.

    Attributes:
        root: ``1-...-...``; empty where there is none.
        parent: the caller's segment; None where the trace begins with this invocation.
        sampled: None where nobody has decided.
        others: what else is in it, ``Lineage`` for example, as it came.
    """

    root: str
    parent: str | None
    sampled: bool | None
    others: tuple[str, ...]


def read_trace_header(text: str) -> TraceHeader:
    fields: dict[str, str] = {}
    others: list[str] = []
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name in ("Root", "Parent", "Sampled"):
            fields[name] = value
        elif part.strip():
            others.append(part.strip())
    root, parent = fields.get("Root", ""), fields.get("Parent") or None
    sampled = {"1": True, "0": False}.get(fields.get("Sampled", ""))
    if parent is not None and root.endswith(parent):
        parent, sampled = None, sampled or None
    return TraceHeader(root=root, parent=parent, sampled=sampled, others=tuple(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationSegments:
    """The two segments of a sampled invocation: Lambda's own and, below it, the function's.

    Attributes:
        trace_id: ``1-...-...``.
        parent_id: the caller's segment; None where the trace begins with this invocation.
        lambda_id, function_id: 16 hexadecimal digits; what the handler traces belongs to ``function_id``.
    """

    trace_id: str
    parent_id: str | None
    lambda_id: str
    function_id: str


def sampled_header(header: TraceHeader, segments: InvocationSegments) -> str:
    """For the runtime: what the handler traces is a part of the function's segment."""
    parts = (f"Root={segments.trace_id}", f"Parent={segments.function_id}", "Sampled=1", *header.others)
    return ";".join(parts)

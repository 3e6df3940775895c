"""Loops of functions that invoke themselves, by way of others perhaps, found in the ``Lineage`` of the trace header.

Pure. AWS documents the rule (the next invocation after about 16 in one chain is stopped) and not the format. What is
seen of AWS in the wild is ``Lineage=1:a87bd80c:0``, formerly ``Lineage=a87bd80c:0``, with ``|`` between the entries of
several functions: eight hex digits that stand for a function, and how often it was invoked before in this chain. This
server writes the first form and reads both; its digits are its own, from a digest of the function's ARN.

An SDK in the handler passes the header on by itself, with ``|`` percent-encoded (botocore's ``quote``). Entries that
are not this function's are kept as they came.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from rie_server.model.arn import FunctionArn

# Invocations of one function in one chain; the next one is stopped.
INVOCATIONS_IN_A_CHAIN: Final = 16

_KEY: Final = "Lineage="
_ENCODED_SEPARATOR: Final = "%7C"
_COUNT_DIGITS: Final = 9


class RecursiveLoop(StrEnum):
    """What happens to a loop that was found."""

    TERMINATE = "Terminate"
    ALLOW = "Allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One invocation of a function in a chain.

    Attributes:
        trace_header: for the runtime, with the function's own entry in the lineage.
        is_loop: the function has been invoked too often in this chain.
    """

    trace_header: str
    is_loop: bool


def hop(trace_header: str, function: FunctionArn) -> Hop:
    """The next invocation of ``function`` (unqualified) in the chain that ``trace_header`` tells of."""
    if _KEY not in trace_header:
        return Hop(trace_header=first_hop(trace_header, function), is_loop=False)
    parts = trace_header.split(";")
    for position, part in enumerate(parts):
        if part.startswith(_KEY):
            entries, count = _counted(part[len(_KEY) :], lineage_digits(function))
            parts[position] = _KEY + "|".join(entries)
            return Hop(trace_header=";".join(parts), is_loop=count >= INVOCATIONS_IN_A_CHAIN)
    return Hop(trace_header=first_hop(trace_header, function), is_loop=False)


def has_lineage(trace_header: str) -> bool:
    """Whether ``hop`` has anything to read; where not, ``first_hop`` says all."""
    return _KEY in trace_header


def first_hop(trace_header: str, function: FunctionArn) -> str:
    """``trace_header``, which has no lineage, with the beginning of one."""
    beginning = _beginning(function)
    return f"{trace_header};{beginning}" if trace_header else beginning


@lru_cache(maxsize=4096)
def lineage_digits(function: FunctionArn) -> str:
    """What stands for ``function`` in a lineage."""
    return hashlib.sha256(str(function.unqualified).encode()).hexdigest()[:8]


@lru_cache(maxsize=4096)
def _beginning(function: FunctionArn) -> str:
    return f"{_KEY}1:{lineage_digits(function)}:0"


def _counted(lineage: str, digits: str) -> tuple[list[str], int]:
    """The entries with this hop counted, and how often the function was invoked before it."""
    entries = [entry for entry in lineage.replace(_ENCODED_SEPARATOR, "|").split("|") if entry]
    for position, entry in enumerate(entries):
        head, _, number = entry.rpartition(":")
        if head.rpartition(":")[2] == digits and number.isdecimal() and len(number) <= _COUNT_DIGITS:
            count = int(number) + 1
            entries[position] = f"{head}:{count}"
            return entries, count
    return [*entries, f"1:{digits}:0"], 0

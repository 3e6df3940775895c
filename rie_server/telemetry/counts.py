"""What one function's metrics are made of: plain numbers, so that counting costs an invocation next to nothing.

Not thread-safe; ``metrics`` holds its lock over them.
"""

from bisect import bisect_left

from rie_server.model.arn import FunctionArn

# Upper bounds in milliseconds; the last buckets are a function's longest timeout, and an event's greatest age.
DURATION_BUCKETS_MS = (
    *(1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0, 60_000.0, 300_000.0, 900_000.0),
)
AGE_BUCKETS_MS = (
    *(10.0, 100.0, 1_000.0, 10_000.0, 60_000.0, 180_000.0, 600_000.0, 1_800_000.0),
    *(3_600_000.0, 10_800_000.0, 21_600_000.0),
)


class Histogram:
    """
    Attributes:
        counts: by bucket, not cumulative; the last one is for what is above every bound.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: "Histogram") -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class FunctionCounts:
    """One function under one qualifier."""

    __slots__ = (
        "age",
        "dead_letter_errors",
        "destination_failures",
        "dropped",
        "duration",
        "errors",
        "provisioned",
        "received",
        "spilled_over",
        "throttles",
    )

    def __init__(self) -> None:
        self.duration = Histogram(DURATION_BUCKETS_MS)
        self.errors = 0
        self.throttles = 0
        self.provisioned = 0
        self.spilled_over = 0
        self.received = 0
        self.age = Histogram(AGE_BUCKETS_MS)
        self.dropped = 0
        self.dead_letter_errors = 0
        self.destination_failures = 0

    @property
    def invocations(self) -> int:
        return sum(self.duration.counts)

    def add(self, other: "FunctionCounts") -> None:
        self.duration.add(other.duration)
        self.age.add(other.age)
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_SUMMED = tuple(name for name in FunctionCounts.__slots__ if name not in ("age", "duration"))


class PollCounts:
    """One event source mapping.

    Attributes:
        function: the one that it invokes now.
    """

    __slots__ = (
        "deleted",
        "delivered_on_failure",
        "dropped",
        "failed_invoke",
        "filtered_out",
        "function",
        "invoked",
        "iterator_age",
        "polled",
        "uuid",
    )
    NUMBERS = ("polled", "filtered_out", "invoked", "failed_invoke", "deleted", "delivered_on_failure", "dropped")

    def __init__(self, uuid: str, function: FunctionArn) -> None:
        self.uuid = uuid
        self.function = function
        self.polled = 0
        self.filtered_out = 0
        self.invoked = 0
        self.failed_invoke = 0
        self.deleted = 0
        self.delivered_on_failure = 0
        self.dropped = 0
        self.iterator_age = Histogram(AGE_BUCKETS_MS)

    def copy(self) -> "PollCounts":
        copied = PollCounts(self.uuid, self.function)
        copied.iterator_age.add(self.iterator_age)
        for name in self.NUMBERS:
            setattr(copied, name, getattr(self, name))
        return copied

"""Records become batches by number, by size, and by time."""

from hypothesis import given
from hypothesis import strategies as st

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.batching import BatchAccumulator
from tests.unit.event_sources.records import record, records

ENVELOPE = len('{"Records":[]}')
LARGEST = SYNC_PAYLOAD_BYTES - ENVELOPE


def accumulator(batch_size: int = 3, window_seconds: float = 5.0) -> BatchAccumulator:
    return BatchAccumulator(batch_size=batch_size, window_seconds=window_seconds, envelope_bytes=ENVELOPE)


def names(batches: list[tuple]) -> list[str]:
    return ["".join(one.identifier for one in batch) for batch in batches]


def test_a_batch_is_full_with_as_many_records_as_batch_size_says() -> None:
    waiting = accumulator()
    assert names(waiting.add(records("abcdefgh"), now=0)) == ["abc", "def"]
    assert (len(waiting), waiting.room) == (2, 1)
    assert names(waiting.add(records("i"), now=1)) == ["ghi"]


def test_a_window_begins_with_the_first_record_and_ends_once() -> None:
    waiting = accumulator()
    assert waiting.closes_at is None
    assert not waiting.add(records("a"), now=10)
    assert not waiting.add(records("b"), now=14)
    assert waiting.closes_at == 15
    assert waiting.take_due(now=14.9) == ()
    assert names([waiting.take_due(now=15)]) == ["ab"]
    assert waiting.take_due(now=99) == ()
    assert waiting.closes_at is None


def test_a_full_batch_takes_its_window_with_it() -> None:
    waiting = accumulator()
    waiting.add(records("ab"), now=0)
    assert names(waiting.add(records("cd"), now=4)) == ["abc"]
    assert waiting.closes_at == 9


def test_without_a_window_what_was_read_at_once_is_a_batch() -> None:
    waiting = accumulator(window_seconds=0)
    assert not waiting.add(records("ab"), now=7)
    assert names([waiting.take_due(now=7)]) == ["ab"]


def test_nothing_waits_after_a_flush() -> None:
    waiting = accumulator()
    waiting.add(records("a"), now=0)
    assert names([waiting.flush()]) == ["a"]
    assert (len(waiting), waiting.flush()) == (0, ())


def test_an_event_is_filled_to_the_byte_and_no_further() -> None:
    waiting = accumulator()
    fitting = [record("a", size_bytes=LARGEST // 2), record("b", size_bytes=LARGEST - LARGEST // 2 - len(","))]
    assert names(waiting.add(fitting, now=0)) == ["ab"]
    too_many = [fitting[0], record("b", size_bytes=fitting[1].size_bytes + 1)]
    assert names(waiting.add(too_many, now=1)) == ["a"]
    assert (len(waiting), waiting.closes_at) == (1, 6)


def test_a_record_that_no_event_can_hold_is_a_batch_of_its_own() -> None:
    giant = record("G", size_bytes=LARGEST + 1)
    assert names(accumulator().add([*records("a"), giant, *records("b")], now=0)) == ["a", "G"]


@given(
    sizes=st.lists(st.sampled_from([1, 100, LARGEST // 3, LARGEST // 2, LARGEST, LARGEST + 1]), max_size=30),
    batch_size=st.integers(1, 5),
)
def test_no_record_is_lost_and_no_batch_is_too_large(sizes: list[int], batch_size: int) -> None:
    waiting = accumulator(batch_size=batch_size)
    everything = [record(str(number), size_bytes=size) for number, size in enumerate(sizes)]
    batches = [*waiting.add(everything, now=0), waiting.flush()]
    assert [one for batch in batches for one in batch] == everything
    for batch in batches:
        assert len(batch) <= batch_size
        event_bytes = ENVELOPE + sum(one.size_bytes for one in batch) + max(0, len(batch) - 1)
        assert event_bytes <= SYNC_PAYLOAD_BYTES or len(batch) == 1

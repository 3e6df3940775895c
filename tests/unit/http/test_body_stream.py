"""A body in pieces: order, ends, and who holds whom."""

from collections.abc import Mapping

from rie_server.api.body_stream import KEPT_BYTES, BodyStream


class Heard:
    """A Receiver that remembers."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def finish(self, trailers: Mapping[str, str]) -> None:
        self.calls.append(dict(trailers))

    def break_off(self) -> None:
        self.calls.append("broken off")


def test_what_was_written_before_somebody_attached_comes_first_and_in_order() -> None:
    stream, heard = BodyStream(), Heard()
    stream.write(b"1")
    stream.write(b"2")
    stream.attach(heard)
    stream.write(b"3")
    stream.finish({"a": "b"})
    assert heard.calls == [b"1", b"2", b"3", {"a": "b"}]


def test_a_stream_that_has_ended_is_told_whole_to_who_attaches_late() -> None:
    stream, heard = BodyStream(), Heard()
    stream.write(b"1")
    stream.finish(last=b"2")
    stream.attach(heard)
    assert heard.calls == [b"1", b"2", {}]


def test_the_first_end_counts_and_nothing_comes_after_it() -> None:
    stream, heard = BodyStream(), Heard()
    stream.attach(heard)
    stream.break_off()
    stream.write(b"late")
    stream.finish(last=b"later")
    assert heard.calls == ["broken off"]


def test_a_writer_is_told_when_it_is_held_and_when_it_may_go_on() -> None:
    told: list[bool] = []
    stream = BodyStream(lambda: told.append(stream.is_held))
    for held in (True, True, False, False, True):
        stream.hold(held)
    assert told == [True, False, True]


def test_a_writer_that_nobody_listens_to_is_held_until_somebody_does() -> None:
    told: list[bool] = []
    stream = BodyStream(lambda: told.append(stream.is_held))
    stream.write(b"x" * KEPT_BYTES)
    assert told == []
    stream.write(b"x")
    assert told == [True]
    stream.attach(Heard())
    assert told == [True, False]


def test_an_abandoned_stream_is_thrown_away_and_holds_nobody() -> None:
    told: list[bool] = []
    stream, heard = BodyStream(lambda: told.append(stream.is_held)), Heard()
    stream.attach(heard)
    stream.hold(True)
    stream.abandon()
    stream.write(b"x" * 2 * KEPT_BYTES)
    stream.hold(True)
    stream.finish()
    assert told == [True, False]
    assert heard.calls == []


def test_nobody_attaches_to_what_was_abandoned() -> None:
    stream, heard = BodyStream(), Heard()
    stream.write(b"x")
    stream.abandon()
    stream.attach(heard)
    stream.finish()
    assert heard.calls == []

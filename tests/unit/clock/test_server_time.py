"""Which clock the settings choose, how fast it runs, and that its time does not go back with a restart."""

import time
from pathlib import Path

import pytest

from rie_server.clock.fast import FastClock
from rie_server.clock.memory import RememberedTime
from rie_server.clock.server_time import ServerTime
from rie_server.clock.system import SystemClock
from rie_server.config import Settings
from rie_server.errors import ConfigurationError, ResourceConflictException
from tests.fakes.clock import FakeClock


def server_time(tmp_path: Path, real: FakeClock, **flags: str) -> ServerTime:
    return ServerTime(Settings.from_environ({}, data_dir=str(tmp_path), **flags), real)


def test_by_default_there_is_one_clock_and_it_cannot_be_moved(tmp_path: Path) -> None:
    real = FakeClock()
    chosen = server_time(tmp_path, real)
    chosen.start()
    assert chosen.clock is real
    with pytest.raises(ResourceConflictException, match="RIE_CLOCK=manual"):
        chosen.advance(60)
    chosen.close()
    assert list(tmp_path.iterdir()) == []


def test_a_fast_clock_multiplies_time_and_divides_waits() -> None:
    real = FakeClock()
    clock = FastClock(real, start_at=1000.0, speed=60)
    fired: list[float] = []
    clock.call_later(120, lambda: fired.append(clock.now()))
    real.advance(1.5)
    assert (clock.now(), clock.monotonic(), fired) == (1090.0, 90.0, [])
    real.advance(0.5)
    assert fired == [1120.0]
    clock.sleep(60)
    assert clock.now() == 1180.0


def test_a_fast_clock_on_the_real_one_keeps_its_timers_promise() -> None:
    real = SystemClock()
    real.start()
    try:
        clock = FastClock(real, start_at=0.0, speed=600)
        began = time.monotonic()
        fired: list[float] = []
        clock.call_later(60, lambda: fired.append(clock.now()))
        while not fired and time.monotonic() - began < 5:
            time.sleep(0.001)
        assert 0.1 <= time.monotonic() - began < 2
        assert fired[0] >= 60
    finally:
        real.close()


@pytest.mark.parametrize("flags", [{"clock": "manual"}, {"clock_speed": "60"}], ids=["manual", "fast"])
def test_time_goes_on_after_a_restart_where_it_had_got_to(tmp_path: Path, flags: dict[str, str]) -> None:
    real = FakeClock()
    first = server_time(tmp_path, real, **flags)
    first.start()
    if first.mode == "manual":
        first.advance(86_400)
    else:
        real.advance(1440)
    reached = first.clock.now()
    assert reached == real.now() + (86_400 if first.mode == "manual" else 59 * 1440)
    # A crash: nobody closes it.
    second = server_time(tmp_path, real, **flags)
    assert second.clock.now() == pytest.approx(reached)


def test_time_never_starts_before_the_real_one(tmp_path: Path) -> None:
    real = FakeClock()
    first = server_time(tmp_path, real, clock="manual")
    first.start()
    first.advance(60)
    first.close()
    real.advance(3600)
    assert server_time(tmp_path, real, clock="manual").clock.now() == real.now()


@pytest.mark.parametrize("text", ["", "yesterday", "nan", "inf"])
def test_a_memory_that_makes_no_sense_is_no_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "clock").write_text(text)
    assert RememberedTime(tmp_path / "clock").not_before(5.0) == 5.0


def test_a_memory_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    RememberedTime(tmp_path / "file" / "clock").remember(5.0)
    assert "cannot be remembered" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock": "stopped"},
        {"clock_speed": "0"},
        {"clock_speed": "0.5"},
        {"clock_speed": "fast"},
        {"clock_speed": "nan"},
        {"clock_speed": "10001"},
        {"clock": "manual", "clock_speed": "60"},
    ],
    ids=str,
)
def test_settings_that_make_no_clock_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"clock|CLOCK"):
        Settings.from_environ({}, **wrong)

"""``rie logs``: a function's log from the server's data folder, also while it is being written.

Reads files only, so it works when the server is gone, too. The server writes one file per function, each line
``TIME STREAM-ID LINE``, renames it to ``.1`` when it is full and begins a new one; a follower reads the old file to its
end before it opens the new one.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings
from rie_server.errors import RieError
from rie_server.model.log_file import log_file
from rie_server.ports import Clock

POLL_SECONDS = 0.1

_DURATION = re.compile(r"(\d+)([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LINE_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+)Z ")


class NoLogError(RieError):
    """The function has not written anything yet."""


@click.command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log is written, until Ctrl-C.")
@click.option("--since", metavar="TIME", help="Only from then on: 30s, 10m, 2h, 1d ago, or 2026-01-31T12:00:00Z.")
@with_settings("data_dir", "region")
def logs_command(name: str, follow: bool, since: str | None, **flags: str | None) -> None:
    """Print the log of the function NAME, or of the log group NAME: with a slash, or group:NAME."""
    from rie_server.clock import SystemClock  # noqa: PLC0415 - the server's timers come with it

    settings = Settings.from_environ(None, **flags)
    clock = SystemClock()
    start_seconds = None if since is None else parse_since(since, now=clock.now())
    group = name.removeprefix("group:") if name.startswith("group:") or "/" in name else f"/aws/lambda/{name}"
    path = log_file(settings.data_dir / "logs" / settings.region, group)
    if not follow and not path.exists():
        raise NoLogError(f"{name} has no log in {path.parent}; has it been invoked?")
    lines = log_lines(path, clock if follow else None)
    with contextlib.suppress(KeyboardInterrupt):
        for line in lines if start_seconds is None else lines_since(lines, start_seconds):
            click.echo(line, nl=False)


def parse_since(text: str, *, now: float) -> float:
    """Seconds since the epoch that ``--since`` means."""
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return now - int(duration[1]) * _UNIT_SECONDS[duration[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--since {text!r} is neither 30s, 10m, 2h, 1d nor 2026-01-31T12:00:00Z.") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def line_time(line: bytes) -> float | None:
    """When the line was written, as the server dates it; None for the further lines of a message."""
    match = _LINE_TIME.match(line)
    if match is None:
        return None
    return datetime.fromisoformat(match[1].decode()).replace(tzinfo=UTC).timestamp()


def lines_since(lines: Iterable[bytes], start_seconds: float) -> Iterator[bytes]:
    """From the first line that is dated at or after ``start_seconds``; undated lines belong to the one before."""
    reached = False
    for line in lines:
        written = line_time(line)
        reached = reached or (written is not None and written >= start_seconds)
        if reached:
            yield line


def log_lines(path: Path, follow: Clock | None) -> Iterator[bytes]:
    """The lines of the rotated file and of the current one, then, with a clock, those that are still to come."""
    current = _open(path)
    # Opened in this order no line is lost when the server rotates in between: at worst both are the same file.
    rotated = _open(path.with_name(path.name + ".1"))
    if rotated is not None:
        with rotated:
            if current is None or not _is_file(rotated, os.fstat(current.fileno())):
                yield from rotated
    while follow is not None and current is None:
        follow.sleep(POLL_SECONDS)
        current = _open(path)
    while current is not None:
        with current:
            yield from _whole_lines(current, path, follow)
        current = _open(path) if follow is not None else None


def _whole_lines(log: BinaryIO, path: Path, follow: Clock | None) -> Iterator[bytes]:
    """Lines of ``log`` until its end; a follower stays until another file has taken the path and this one is read."""
    unfinished = b""
    replaced = follow is None
    while True:
        for piece in log:
            unfinished += piece
            if unfinished.endswith(b"\n"):
                yield unfinished
                unfinished = b""
        if replaced or follow is None:
            break
        with contextlib.suppress(FileNotFoundError):
            replaced = not _is_file(log, path.stat())
        if not replaced:
            follow.sleep(POLL_SECONDS)
    if unfinished:
        yield unfinished + b"\n"


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _is_file(log: BinaryIO, status: os.stat_result) -> bool:
    return os.path.samestat(os.fstat(log.fileno()), status)

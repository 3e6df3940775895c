"""A table that a command shows once, or follows: drawn anew on a terminal as it changes, and elsewhere a line for each
row that has changed, so that it can be piped and searched.

A row is a tuple of cells, of which the first names it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from rie_server.ports import Clock

POLL_SECONDS = 0.5

Row = tuple[str, ...]
Read = Callable[[], Sequence[Row]]


def follow(read: Read, columns: Row, style: Callable[[Row], str]) -> None:
    """Shows what ``read`` gives, again and again, until Ctrl-C.

    Args:
        style: of a row, in rich's words.
    """
    from rie_server.clock import SystemClock  # noqa: PLC0415 - only a follower waits

    with contextlib.suppress(KeyboardInterrupt):
        polls = _polls(read, SystemClock())
        if sys.stdout.isatty():
            _follow_on_terminal(polls, columns, style)
        else:
            for line in changed_lines(polls):
                click.echo(line)


def changed_lines(polls: Iterable[Sequence[Row]]) -> Iterator[str]:
    """A line for every row that is new or has changed since the poll before."""
    before: dict[str, Row] = {}
    for rows in polls:
        for row in rows:
            if before.get(row[0]) != row:
                yield "  ".join(cell for cell in row if cell)
        before = {row[0]: row for row in rows}


def _polls(read: Read, clock: Clock) -> Iterator[Sequence[Row]]:
    while True:
        yield read()
        clock.sleep(POLL_SECONDS)


def _follow_on_terminal(polls: Iterator[Sequence[Row]], columns: Row, style: Callable[[Row], str]) -> None:
    from rich.live import Live  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def drawn(rows: Sequence[Row]) -> Table:
        picture = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            # Text, because what a target said may look like markup.
            picture.add_row(*(Text(cell, style=style(row)) for cell in row))
        return picture

    with Live(drawn(next(polls)), auto_refresh=False, vertical_overflow="crop") as live:
        for rows in polls:
            live.update(drawn(rows), refresh=True)

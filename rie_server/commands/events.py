"""``rie events``: where asynchronous events stand, as a table; with ``--follow`` it lives.

On a terminal the table is drawn anew as it changes. Elsewhere ``--follow`` prints a line for every event that has
changed, so that it can be piped and searched.
"""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import click

from rie_server.commands.list import table
from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings
from rie_server.model.event_progress import EventState
from rie_server.ports import Clock

POLL_SECONDS = 0.5
COLUMNS = ("REQUEST ID", "FUNCTION", "STATE", "TRIES", "DUE OR ENDED", "OUTCOME")
_STYLES = {
    EventState.RETRYING: "yellow",
    EventState.IN_FLIGHT: "cyan",
    EventState.DELIVERING: "cyan",
    EventState.DELIVERED: "green",
    EventState.DROPPED: "red",
}

Row = tuple[str, ...]


@click.command("events")
@click.option("--follow", "-f", is_flag=True, help="Go on as events change, until Ctrl-C.")
@click.option("--function", help="Only events of this function: NAME, NAME:QUALIFIER or an ARN.")
@click.option("--request-id", help="Only this event.")
@click.option("--state", type=click.Choice([str(state) for state in EventState]), help="Only events in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, at most.")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def events_command(
    follow: bool,
    function: str | None,
    request_id: str | None,
    state: str | None,
    limit: int,
    url: str | None,
    **flags: str | None,
) -> None:
    """Show asynchronous events: those that wait, run or are retried, then those that have ended."""
    from rie_server.commands.endpoint import server_url  # noqa: PLC0415 - urllib is slow to import

    wanted = {"function": function, "request_id": request_id, "state": state, "limit": limit}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    base = (url or server_url(Settings.from_environ(None, **flags))).rstrip("/")
    address = f"{base}/_rie/events?{query}"
    if not follow:
        _show_once(_rows(address))
        return
    from rie_server.clock import SystemClock  # noqa: PLC0415 - only a follower waits

    with contextlib.suppress(KeyboardInterrupt):
        if sys.stdout.isatty():
            _follow_on_terminal(address, SystemClock())
        else:
            for line in changed_lines(_polls(address, SystemClock())):
                click.echo(line)


def event_row(event: dict[str, Any]) -> Row:
    """One row of the table."""
    # The name and, where there is one, the qualifier.
    function = ":".join(event["function"].split(":")[6:])
    tries = event["invoke_count"] if event["invoke_count"] is not None else event["attempts"]
    refusals = f" (+{event['refusals']} refused)" if event["refusals"] else ""
    moment = event["ended_at"] or event["due_at"] or ""
    return event["request_id"], function, event["state"], f"{tries}{refusals}", moment, _outcome(event)


def changed_lines(polls: Iterable[Sequence[Row]]) -> Iterator[str]:
    """A line for every event that is new or has changed since the poll before."""
    before: dict[str, Row] = {}
    for rows in polls:
        for row in rows:
            if before.get(row[0]) != row:
                yield "  ".join(cell for cell in row if cell)
        before = {row[0]: row for row in rows}


def _outcome(event: dict[str, Any]) -> str:
    words = [event["condition"] or ""]
    words += [
        f"{one['kind']} {one['target'].split(':')[-1]}" + (f" failed: {one['error']}" if one["error"] else "")
        for one in event["deliveries"]
    ]
    return ", ".join(word for word in words if word)


def _rows(address: str) -> list[Row]:
    from rie_server.commands.endpoint import send  # noqa: PLC0415

    return [event_row(event) for event in json.loads(send("GET", address).body)["events"]]


def _polls(address: str, clock: Clock) -> Iterator[list[Row]]:
    while True:
        yield _rows(address)
        clock.sleep(POLL_SECONDS)


def _show_once(rows: Sequence[Row]) -> None:
    if not rows:
        click.echo("No asynchronous events. Send one: InvocationType=Event.", err=True)
        return
    for line in table((COLUMNS, *rows)):
        click.echo(line)


def _follow_on_terminal(address: str, clock: Clock) -> None:
    from rich.live import Live  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def drawn(rows: Sequence[Row]) -> Table:
        picture = Table(*COLUMNS, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            # Text, because what a target said may look like markup.
            cells = [Text(cell, style=_STYLES.get(EventState(row[2]), "")) for cell in row]
            picture.add_row(*cells)
        return picture

    polls = _polls(address, clock)
    with Live(drawn(next(polls)), auto_refresh=False, vertical_overflow="crop") as live:
        for rows in polls:
            live.update(drawn(rows), refresh=True)

"""``rie events``: where asynchronous events stand, as a table; with ``--follow`` it lives (``live_table``)."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import click

from rie_server.commands.list import table
from rie_server.commands.live_table import Row, follow
from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings
from rie_server.model.event_progress import EventState

COLUMNS = ("REQUEST ID", "FUNCTION", "STATE", "TRIES", "DUE OR ENDED", "OUTCOME")
_STYLES = {
    EventState.RETRYING: "yellow",
    EventState.IN_FLIGHT: "cyan",
    EventState.DELIVERING: "cyan",
    EventState.DELIVERED: "green",
    EventState.DROPPED: "red",
}


@click.command("events")
@click.option("--follow", "-f", "following", is_flag=True, help="Go on as events change, until Ctrl-C.")
@click.option("--function", help="Only events of this function: NAME, NAME:QUALIFIER or an ARN.")
@click.option("--request-id", help="Only this event.")
@click.option("--state", type=click.Choice([str(state) for state in EventState]), help="Only events in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, at most.")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def events_command(
    following: bool,
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
    if following:
        follow(lambda: _rows(address), COLUMNS, lambda row: _STYLES.get(EventState(row[2]), ""))
    else:
        _show_once(_rows(address))


def event_row(event: dict[str, Any]) -> Row:
    """One row of the table."""
    # The name and, where there is one, the qualifier.
    function = ":".join(event["function"].split(":")[6:])
    tries = event["invoke_count"] if event["invoke_count"] is not None else event["attempts"]
    refusals = f" (+{event['refusals']} refused)" if event["refusals"] else ""
    moment = event["ended_at"] or event["due_at"] or ""
    return event["request_id"], function, event["state"], f"{tries}{refusals}", moment, _outcome(event)


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


def _show_once(rows: Sequence[Row]) -> None:
    if not rows:
        click.echo("No asynchronous events. Send one: InvocationType=Event.", err=True)
        return
    for line in table((COLUMNS, *rows)):
        click.echo(line)

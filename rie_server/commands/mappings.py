"""``rie mappings``: where event source mappings stand, as a table; with ``--follow`` it lives (``live_table``)."""

import json
from typing import Any
from urllib.parse import urlencode

import click

from rie_server.commands.list import table
from rie_server.commands.live_table import Row, follow
from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings

COLUMNS = ("UUID", "FUNCTION", "SOURCE", "STATE", "WAITING", "POLLERS", "IN FLIGHT", "INVOKED", "FAILED", "LAST RESULT")
_STYLES = {"Enabled": "green", "Disabled": "dim"}


@click.command("mappings")
@click.option("--follow", "-f", "following", is_flag=True, help="Go on as mappings change, until Ctrl-C.")
@click.option("--function", help="Only mappings of this function, by its name.")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def mappings_command(following: bool, function: str | None, url: str | None, **flags: str | None) -> None:
    """Show event source mappings: what they poll, how far they are behind, how the last batch ended."""
    from rie_server.commands.endpoint import server_url  # noqa: PLC0415 - urllib is slow to import

    base = (url or server_url(Settings.from_environ(None, **flags))).rstrip("/")
    query = f"?{urlencode({'function': function})}" if function else ""
    address = f"{base}/_rie/mappings{query}"
    if following:
        follow(lambda: _rows(address), COLUMNS, _style)
        return
    rows = _rows(address)
    if not rows:
        click.echo("No event source mappings. Create one: aws lambda create-event-source-mapping.", err=True)
        return
    for line in table((COLUMNS, *rows)):
        click.echo(line)


def mapping_row(mapping: dict[str, Any]) -> Row:
    """One row of the table."""
    # The name and, where there is one, the qualifier.
    function = ":".join(mapping["function"].split(":")[6:])
    source = mapping["source"].split(":", 5)[-1] if mapping["source"].startswith("arn:") else mapping["source"]
    return (
        mapping["uuid"],
        function,
        f"{mapping['kind']} {source}" + (f" {mapping['part']}" if mapping["part"] else ""),
        mapping["state"],
        _waiting(mapping),
        str(mapping["pollers"]),
        str(mapping["in_flight"]),
        str(mapping["counts"]["invoked"]),
        str(mapping["counts"]["failed_invoke"]),
        mapping["last_processing_result"] or "",
    )


def _waiting(mapping: dict[str, Any]) -> str:
    """How many records wait, or for how long the last of them has; a dash where that cannot be known."""
    if mapping["backlog"] is not None:
        return str(mapping["backlog"])
    return "-" if mapping["behind_seconds"] is None else f"{mapping['behind_seconds']:.0f} s"


def _style(row: Row) -> str:
    return "red" if row[-1].startswith("PROBLEM") else _STYLES.get(row[3], "yellow")


def _rows(address: str) -> list[Row]:
    from rie_server.commands.endpoint import send  # noqa: PLC0415

    return [mapping_row(mapping) for mapping in json.loads(send("GET", address).body)["mappings"]]

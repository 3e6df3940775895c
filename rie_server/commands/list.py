"""``rie list``: the functions that a running server knows, as a table."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import click

from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings

COLUMNS = ("NAME", "RUNTIME", "HANDLER", "TIMEOUT", "MEMORY", "MODIFIED")


@click.command("list")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def list_command(url: str | None, **flags: str | None) -> None:
    """List the functions."""
    from rie_server.commands.endpoint import server_url  # noqa: PLC0415 - urllib is slow to import

    settings = Settings.from_environ(None, **flags)
    base = (url or server_url(settings)).rstrip("/")
    rows = [function_row(function) for function in _all_functions(base, settings)]
    if not rows:
        click.echo("No functions. Create one, or start the server with --template.", err=True)
        return
    for line in table((COLUMNS, *rows)):
        click.echo(line)


def _all_functions(base: str, settings: Settings) -> Iterator[dict[str, Any]]:
    from rie_server.commands.endpoint import send, signed_headers  # noqa: PLC0415

    marker: str | None = ""
    while marker is not None:
        address = f"{base}/2015-03-31/functions?Marker={quote(marker, safe='')}"
        page = json.loads(send("GET", address, headers=signed_headers(settings, "GET", address, headers={})).body)
        yield from page["Functions"]
        marker = page.get("NextMarker") or None


def function_row(function: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table; an image function has no runtime and no handler of its own."""
    return (
        function["FunctionName"],
        function.get("Runtime") or "image",
        function.get("Handler") or "-",
        f"{function['Timeout']} s",
        f"{function['MemorySize']} MB",
        function["LastModified"],
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as aligned lines."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

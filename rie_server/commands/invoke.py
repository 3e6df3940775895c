"""``rie invoke``: runs a function once and prints what it returned, fit for a pipe: the result alone is on stdout."""

import base64
import json
import sys
from collections.abc import Iterable
from typing import BinaryIO
from urllib.parse import quote

import click

from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings
from rie_server.model.event_stream import EventReader


@click.command("invoke")
@click.argument("name")
@click.option("-p", "--payload", help="The event, as JSON text.")
@click.option("-e", "--event", "event_file", type=click.File("rb"), help="A file with the event; - reads stdin.")
@click.option("--tail", is_flag=True, help="Print the invocation's log to stderr.")
@click.option("--stream", "streams", is_flag=True, help="Print a streamed response as it comes.")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def invoke_command(
    name: str,
    payload: str | None,
    event_file: BinaryIO | None,
    tail: bool,
    streams: bool,
    url: str | None,
    **flags: str | None,
) -> None:
    """Invoke the function NAME and wait for its result.

    NAME is a function name, name:qualifier or an ARN. Without an event the function gets {}. The exit status is 1 when
    the function fails.
    """
    from rie_server.commands.endpoint import receive, send, server_url, signed_headers  # noqa: PLC0415 - urllib is slow to import

    if payload is not None and event_file is not None:
        raise click.UsageError("--payload and --event exclude each other.")
    event = event_file.read() if event_file is not None else (payload or "{}").encode()
    settings = Settings.from_environ(None, **flags)
    base = (url or server_url(settings)).rstrip("/")
    headers = {"Content-Type": "application/json", "X-Amz-Log-Type": "Tail" if tail else "None"}
    reference = quote(name, safe="")
    if streams:
        address = f"{base}/2021-11-15/functions/{reference}/response-streaming-invocations"
        headers = signed_headers(settings, "POST", address, body=event, headers=headers)
        ending = _print_stream(receive("POST", address, body=event, headers=headers))
        error, log = ending.get("ErrorCode"), ending.get("LogResult", "")
    else:
        address = f"{base}/2015-03-31/functions/{reference}/invocations"
        headers = signed_headers(settings, "POST", address, body=event, headers=headers)
        answer = send("POST", address, body=event, headers=headers)
        click.echo(answer.body)
        error, log = answer.headers.get("X-Amz-Function-Error"), answer.headers.get("X-Amz-Log-Result", "")
    if tail:
        click.echo(base64.b64decode(log).rstrip(b"\n"), err=True)
    if error is not None:
        click.echo(f"rie: the function failed ({error}).", err=True)
        sys.exit(1)


def _print_stream(pieces: Iterable[bytes]) -> dict[str, str]:
    """Prints what an event stream brings, at once; the members of its last event."""
    ending: dict[str, str] = {}
    reader = EventReader()
    for piece in pieces:
        for event_type, payload in reader.feed(piece):
            if event_type == "PayloadChunk":
                click.echo(payload, nl=False)
            else:
                ending = json.loads(payload)
    click.echo(ending.get("ErrorDetails", ""))
    return ending

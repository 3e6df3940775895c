"""``rie invoke``: runs a function once and prints what it returned, fit for a pipe: the result alone is on stdout."""

import base64
import sys
from typing import BinaryIO
from urllib.parse import quote

import click

from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings


@click.command("invoke")
@click.argument("name")
@click.option("-p", "--payload", help="The event, as JSON text.")
@click.option("-e", "--event", "event_file", type=click.File("rb"), help="A file with the event; - reads stdin.")
@click.option("--tail", is_flag=True, help="Print the invocation's log to stderr.")
@click.option("--url", help="Address of the Lambda API; else the one that --host and --port give.")
@with_settings("host", "port")
def invoke_command(
    name: str, payload: str | None, event_file: BinaryIO | None, tail: bool, url: str | None, **flags: str | None
) -> None:
    """Invoke the function NAME and wait for its result.

    NAME is a function name, name:qualifier or an ARN. Without an event the function gets {}. The exit status is 1 when
    the function fails.
    """
    from rie_server.commands.endpoint import send, server_url  # noqa: PLC0415 - urllib is slow to import

    if payload is not None and event_file is not None:
        raise click.UsageError("--payload and --event exclude each other.")
    event = event_file.read() if event_file is not None else (payload or "{}").encode()
    base = (url or server_url(Settings.from_environ(None, **flags))).rstrip("/")
    answer = send(
        "POST",
        f"{base}/2015-03-31/functions/{quote(name, safe='')}/invocations",
        body=event,
        headers={"Content-Type": "application/json", "X-Amz-Log-Type": "Tail" if tail else "None"},
    )
    if tail:
        click.echo(base64.b64decode(answer.headers.get("X-Amz-Log-Result", "")).rstrip(b"\n"), err=True)
    click.echo(answer.body)
    error = answer.headers.get("X-Amz-Function-Error")
    if error is not None:
        click.echo(f"rie: the function failed ({error}).", err=True)
        sys.exit(1)

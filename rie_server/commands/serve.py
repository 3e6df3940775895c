"""``rie serve``: the server itself, in the foreground until SIGTERM or Ctrl-C."""

import click

from rie_server.commands.settings_options import with_settings
from rie_server.config import Settings


@click.command("serve")
@with_settings()
def serve_command(**flags: str | None) -> None:
    """Start the server.

    Every flag is also an environment variable; the flag wins.
    """
    settings = Settings.from_environ(None, **flags)
    from rie_server.http.serve import serve  # noqa: PLC0415 - the other commands do without gunicorn

    serve(settings)

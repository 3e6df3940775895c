"""The ``rie`` command line: what each command is called, and how its mistakes end.

A wrong setting is one line on stderr and exit status 2; a request that failed is one line and exit status 1. Commands
import what they need when they run, so that ``rie --help`` and the server's arbiter stay lean.
"""

import sys
from importlib import import_module
from typing import Final

import click

from rie_server import __version__
from rie_server.errors import ConfigurationError, RieError

COMMANDS: Final = ("serve", "invoke", "list", "logs", "events", "mappings")


class _CommandsByName(click.Group):
    """``rie serve`` is ``serve_command`` of ``rie_server.commands.serve``, imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"rie_server.commands.{cmd_name}"), f"{cmd_name}_command")
        return command


@click.group(cls=_CommandsByName, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rie", message="%(prog)s %(version)s")
def rie() -> None:
    """AWS Lambda's execution model on your own machine."""


def main() -> None:
    try:
        rie.main(prog_name="rie")
    except ConfigurationError as wrong:
        click.echo(f"rie: {wrong}", err=True)
        sys.exit(2)
    except RieError as failed:
        click.echo(f"rie: {failed}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

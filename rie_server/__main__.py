"""The ``rie`` command line: what each command is called, and how its mistakes end.

A wrong setting is one line on stderr and exit status 2; a request that failed is one line and exit status 1. Commands
import what they need when they run, so that ``rie --help`` and the server's arbiter stay lean.
"""

import sys

import click

from rie_server import __version__
from rie_server.commands.events import events_command
from rie_server.commands.invoke import invoke_command
from rie_server.commands.list import list_command
from rie_server.commands.logs import logs_command
from rie_server.commands.mappings import mappings_command
from rie_server.commands.serve import serve_command
from rie_server.errors import ConfigurationError, RieError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rie", message="%(prog)s %(version)s")
def rie() -> None:
    """AWS Lambda's execution model on your own machine."""


rie.add_command(serve_command)
rie.add_command(invoke_command)
rie.add_command(list_command)
rie.add_command(logs_command)
rie.add_command(events_command)
rie.add_command(mappings_command)


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

"""Command-line flags out of ``Settings``: one per field, with the field's own words for help. Pure."""

from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click

from rie_server.config import Settings

Command = Callable[..., Any]


def setting_fields() -> tuple[Field[Any], ...]:
    """The fields that a user can set, in the order of ``Settings``."""
    return tuple(spec for spec in fields(Settings) if "read" in spec.metadata)


def default_text(spec: Field[Any]) -> str:
    """The default as a user would write it; empty where there is none."""
    if spec.default is None or spec.default == ():
        return ""
    if isinstance(spec.default, Path):
        return spec.default.name
    if isinstance(spec.default, float):
        return f"{spec.default:g}"
    return str(spec.default)


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Adds a flag for every setting in ``names`` (all without names); they arrive as ``str | None`` arguments.

    Values are checked by ``Settings.from_environ`` alone, so that a flag and its variable are refused in one voice.
    """

    def decorate(command: Command) -> Command:
        for spec in reversed(setting_fields()):
            if names and spec.name not in names:
                continue
            default = default_text(spec)
            origin = f"RIE_{spec.name.upper()}" + (f"; default: {default}" if default else "")
            command = click.option(
                f"--{spec.name.replace('_', '-')}",
                spec.name,
                metavar="VALUE",
                help=f"{spec.metadata['doc']}  [{origin}]",
            )(command)
        return command

    return decorate

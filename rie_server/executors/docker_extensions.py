"""External extensions in a container: finding them, and the shell that starts them before the runtime.

Pure, but for ``extensions_in``. The engine's init is the container's first process; where there are extensions, its
child is a POSIX shell (``extensions_init.sh``) that starts them and tells what becomes of them (decision 7).
"""

import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rie_server.executors.docker_container import ContainerPlan
from rie_server.executors.docker_environment import exit_from
from rie_server.model.environment import EnvironmentExit
from rie_server.model.extension import EXTENSIONS_FOLDER, withheld_variables

SHELL = "/bin/sh"
INIT = Path(__file__).with_name("extensions_init.sh").read_text(encoding="utf-8")

# What a shell says of a program that it cannot start.
_CANNOT = {126: "permission denied", 127: "no such file or directory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What the shell tells.

    Attributes:
        kind: ``started`` and ``ended`` are of the runtime, ``extension`` is the end of an extension, ``refused`` of the
            runtime's command line.
    """

    kind: str
    name: str = ""
    exit_code: int = 0
    words: str = ""

    def exit(self) -> EnvironmentExit:
        """How the extension ended."""
        if self.exit_code in _CANNOT:
            words = f"fork/exec {EXTENSIONS_FOLDER}/{self.name}: {_CANNOT[self.exit_code]}"
            return EnvironmentExit(launch_error=words)
        return exit_from(None, self.exit_code)


def read_news(text: str) -> News | None:
    """The news in what follows the mark; None when it is none that we know."""
    kind, _, rest = text.strip().partition(" ")
    match kind:
        case "started":
            return News(kind=kind)
        case "refused":
            return News(kind=kind, words=rest)
        case "ended" if rest.isdigit():
            return News(kind=kind, exit_code=int(rest))
        case "extension":
            code, _, name = rest.partition(" ")
            return News(kind=kind, name=name, exit_code=int(code)) if code.isdigit() else None
        case _:
            return None


def with_extensions(plan: ContainerPlan, command_line: Sequence[str], mark: str) -> ContainerPlan:
    """The plan of a container in which external extensions are started before ``command_line``."""
    withheld = " ".join(withheld_variables(plan.variables))
    return replace(plan, entry_point=(SHELL, "-c", INIT), command=(mark, withheld, *command_line))


def extensions_in(api: Any, container_id: str) -> tuple[str, ...]:
    """The files in ``/opt/extensions`` of a container that need not run, by name."""
    from docker.errors import NotFound  # noqa: PLC0415 -- optional, and slow to import

    try:
        chunks, _ = api.get_archive(container_id, EXTENSIONS_FOLDER)
    except NotFound:
        return ()
    names = []
    stream: Any = _Chunks(chunks)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            folder, _, name = entry.name.removeprefix("./").partition("/")
            if folder and name and "/" not in name and not entry.isdir():
                names.append(name)
    return tuple(sorted(names))


class _Chunks:
    """The pieces of a download as a file; ``tarfile`` reads it from the beginning to the end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]

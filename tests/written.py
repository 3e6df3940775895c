"""What another process is writing while a test looks."""

import json
from pathlib import Path
from typing import Any


def lines_in(path: Path) -> list[str]:
    """The lines that were written to their end: of a long one a reader may see the beginning alone. None of a file that
    is not there yet.
    """
    return path.read_bytes().decode().split("\n")[:-1] if path.exists() else []


class JsonLines:
    """What a function appends to a file, a document a line. Each line is read once, however often a test looks: whoever
    waits for thousands would keep the machine busy with what it has seen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._documents: list[Any] = []

    def documents(self) -> list[Any]:
        """In the order in which they were written."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                lines = file.read().split(b"\n")[:-1]
            self._read_bytes += sum(len(line) + 1 for line in lines)
            self._documents += [json.loads(line) for line in lines]
        return list(self._documents)

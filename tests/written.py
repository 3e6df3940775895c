"""What another process is writing while a test looks."""

from pathlib import Path


def lines_in(path: Path) -> list[str]:
    """The lines that were written to their end: of a long one a reader may see the beginning alone. None of a file that
    is not there yet.
    """
    return path.read_bytes().decode().split("\n")[:-1] if path.exists() else []

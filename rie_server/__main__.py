"""The ``rie`` command line."""


def main() -> None: ...

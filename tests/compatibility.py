"""Writes ``docs/compatibility.md``: every operation of AWS's service model, how far it is offered, and a test of it.

``make docs`` runs it; ``tests/architecture/test_compatibility.py`` fails when the page is not what it would write.
"""

import ast
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from botocore import xform_name

from rie_server.config import Settings
from rie_server.wiring import build

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
# Where tests call operations as clients do; of two tests the one in the earlier folder is named.
FOLDERS = ("integration/lambda_api", "integration/function_url", "integration/invoke", "integration", "e2e")
# Kept and shown, without an effect on what runs here; with what AWS does about it.
STORED_ONLY: Mapping[str, str] = {
    "code_signing": "no signature is checked",
    "capacity_providers": "functions run on this machine",
    "runtime_management": "the runtime is that of this machine",
}
HEADER = """# Compatibility

Every operation of the Lambda API that botocore {version} describes. `make docs` writes this page; do not edit it.

- **full**: answers, checks and takes effect as in AWS, within what the README says.
- **stored only**: checked, kept durably and shown again, without an effect on what runs here.
- **not offered**: answers `501` with its name.

{counts}.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as it should be."""
    operations, proofs = offered(), dict(_proofs())
    states = {name: _state(module) for name, module in operations.items()}
    counted = ", ".join(
        f"{sum(state[0] == kind for state in states.values())} {kind}"
        for kind in ("full", "stored only", "not offered")
    )
    sections: dict[str, list[str]] = {}
    for name, module in sorted(operations.items()):
        state, remark = states[name]
        shown = f"**{state}**" + (f": {remark}" if remark else "")
        title = "Not offered" if module is None else _title(module)
        sections.setdefault(title, []).append(f"| `{name}` | {shown} | {proofs.get(name, '')} |")
    tables = (
        "\n".join((f"## {title}\n", "| Operation | State | A test of it |", "|---|---|---|", *sections[title]))
        for title in sorted(sections, key=lambda title: (title == "Not offered", title))
    )
    header = HEADER.format(version=botocore_version(), counts=counted)
    return f"{header}\n" + "\n\n".join(tables) + "\n"


def offered() -> Mapping[str, str | None]:
    """Of a server that is put together as any other, and never started for long."""
    with tempfile.TemporaryDirectory() as folder:
        server = build(Settings(data_dir=Path(folder), executor="process"), lambda *_, **__: None)
        server.start()
        try:
            return server.lambda_api.offered()
        finally:
            server.stop()


def _state(module: str | None) -> tuple[str, str]:
    if module is None:
        return "not offered", ""
    remark = STORED_ONLY.get(module.rpartition(".")[2])
    return ("full", "") if remark is None else ("stored only", remark)


def _title(module: str) -> str:
    words = module.rpartition(".")[2].replace("_", " ")
    return words[0].upper() + words[1:]


def botocore_version() -> str:
    import botocore  # noqa: PLC0415 - for its number alone

    return ".".join(botocore.__version__.split(".")[:2])


# --- which test calls an operation ------------------------------------------------------------------------------------


def _proofs() -> Iterator[tuple[str, str]]:
    """Operations with a link to the first test that calls each."""
    methods = {xform_name(name): name for name in offered()}
    seen: set[str] = set()
    for path in _modules():
        for test, called in _tests(path, frozenset(methods)):
            for method in sorted(called - seen):
                seen.add(method)
                link = f"../{path.relative_to(ROOT).as_posix()}"
                yield methods[method], f"[{path.name}]({link}): {test.removeprefix('test_').replace('_', ' ')}"


def _modules() -> Iterator[Path]:
    seen: set[Path] = set()
    for folder in FOLDERS:
        for path in sorted((ROOT / "tests" / folder).rglob("test_*.py")):
            if path not in seen:
                seen.add(path)
                yield path


def _tests(path: Path, methods: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The tests of a module and the methods of a client that each calls, by itself or by a function beside it."""
    functions = {
        node.name: node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    for name, node in functions.items():
        if name.startswith("test_"):
            helpers = [functions[one] for one in _names(node) if one in functions and not one.startswith("test_")]
            yield name, frozenset().union(*(_attributes(one) & methods for one in (node, *helpers)))


def _names(node: ast.AST) -> list[str]:
    return sorted({one.id for one in ast.walk(node) if isinstance(one, ast.Name)})


def _attributes(node: ast.AST) -> frozenset[str]:
    return frozenset(one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute))


if __name__ == "__main__":
    main()

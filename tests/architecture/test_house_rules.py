"""The rules of the house that a machine can check; CONTRIBUTING.md says why they are there."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rie_server"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
OUTSIDE_MODULES = sorted(
    path
    for folder in ("benchmarks", "functions", "runtime")
    for path in (ROOT / folder).rglob("*.py")
    if ".cache" not in path.parts  # what the benchmarks have installed
)
MODULE_LINES = 300
FUNCTION_LINES = 50
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc", "tools", "stuff"}
CLOCK = PACKAGE / "clock" / "system.py"
CONFIG = PACKAGE / "config.py"
ENVIRONMENT_CALLS = {"environ", "environb", "getenv", "getenvb", "putenv"}
TIME_CALLS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def attributes(path: Path) -> Iterator[tuple[str, str, int]]:
    """Every ``name.attribute`` and ``from name import attribute`` of a module: name, attribute, line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            yield node.value.attr, node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield node.module or "", name.name, node.lineno


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call by the last part of what is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr, node


@pytest.mark.parametrize("path", [*MODULES, *OUTSIDE_MODULES], ids=named)
def test_a_module_fits_in_one_sitting_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES, f"{named(path)} is longer than {MODULE_LINES} lines"
    if text.strip():
        assert ast.get_docstring(tree(path)), f"{named(path)} does not say what it is for"


@pytest.mark.parametrize("path", [*MODULES, *OUTSIDE_MODULES], ids=named)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, Function)]
    long = [one.name for one in functions if (one.end_lineno or 0) - one.lineno >= FUNCTION_LINES]
    assert not long, f"{named(path)}: longer than {FUNCTION_LINES} lines: {long}"


def test_no_module_and_no_folder_has_a_name_that_says_nothing() -> None:
    folders = ("rie_server", "tests", "runtime", "benchmarks", "functions")
    parts = {
        part
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for part in path.relative_to(ROOT).parts
        if ".cache" not in path.parts
    }
    assert not {part for part in parts if set(part.removesuffix(".py").split("_")) & NAMES_THAT_SAY_NOTHING}


@pytest.mark.parametrize("path", [path for path in MODULES if path != CONFIG], ids=named)
def test_only_config_reads_the_environment(path: Path) -> None:
    reads = [
        line for name, attribute, line in attributes(path) if (name, attribute) in {("os", "environ"), ("os", "getenv")}
    ]
    assert not reads, f"{named(path)} reads the environment in lines {reads}"


@pytest.mark.parametrize("path", [path for path in MODULES if path != CLOCK], ids=named)
def test_only_the_clock_reads_the_time_or_sleeps(path: Path) -> None:
    reads = [line for name, attribute, line in attributes(path) if attribute in TIME_CALLS.get(name, ())]
    assert not reads, f"{named(path)} reads the time or sleeps in lines {reads}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "model").glob("*.py")), ids=named)
def test_data_is_frozen_slotted_and_made_by_keyword(path: Path) -> None:
    wanted = {"frozen", "slots", "kw_only"}
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if "dataclass" in ast.unparse(decorator):
                given = {keyword.arg for keyword in decorator.keywords} if isinstance(decorator, ast.Call) else set()
                assert wanted <= given, f"{named(path)}: {node.name} is not {wanted - given}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_thread_has_a_name(path: Path) -> None:
    wanted = {"Thread": "name", "ThreadPoolExecutor": "thread_name_prefix"}
    for called, node in calls(path):
        if called in wanted:
            given = {keyword.arg for keyword in node.keywords}
            assert wanted[called] in given, f"{named(path)}:{node.lineno} starts a thread without a name"


def test_what_goes_into_containers_knows_nothing_of_the_server() -> None:
    files = [path for path in (ROOT / "runtime").rglob("*") if path.is_file() and "wheels" not in path.parts]
    assert files
    importing = re.compile(r"^\s*(?:import|from) rie_server|-m rie_server", re.MULTILINE)
    assert not [named(path) for path in files if importing.search(path.read_text(encoding="utf-8"))]


def test_imports_follow_the_order_of_the_folders() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", ended.stdout)

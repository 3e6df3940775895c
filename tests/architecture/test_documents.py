"""What the documents promise is what the code does."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rie_server import __version__
from rie_server.__main__ import rie
from rie_server.commands.settings_options import default_text, setting_fields

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
EXAMPLES = sorted(path.parent.name for path in (ROOT / "functions").glob("*/event.json"))


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of the README, without its first two lines."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_settings_is_that_of_the_server() -> None:
    wanted = [
        [
            f"`RIE_{spec.name.upper()}`",
            f"`{default_text(spec)}`" if default_text(spec) else "",
            spec.metadata["doc"],
        ]
        for spec in setting_fields()
    ]
    assert rows("Settings") == wanted


def test_every_example_is_in_the_readme_and_in_the_template() -> None:
    template = (ROOT / "functions" / "template.yaml").read_text(encoding="utf-8")
    assert sorted(row[0].strip("`") for row in rows("Examples")) == EXAMPLES
    assert all(f"FunctionName: {name}\n" in template for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_has_a_line_of_its_own(name: str) -> None:
    assert (ROOT / "functions" / name / "README.md").read_text(encoding="utf-8").startswith(f"`{name}` ")


def test_the_commands_of_the_readme_exist() -> None:
    commands = set(re.findall(r"(?m)^rie ([a-z]+)", README))
    targets = set(re.findall(r"\bmake ([a-z]+)", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert commands
    assert targets
    assert all(CliRunner().invoke(rie, [command, "--help"]).exit_code == 0 for command in commands)
    assert all(re.search(rf"(?m)^{target}:", makefile) for target in targets)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_yaml_of_the_readme_can_be_read() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        assert yaml.safe_load(block)


def test_the_changelog_begins_with_what_is_coming_or_with_this_version() -> None:
    first = re.search(r"(?m)^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert first is not None
    assert first[1] in ("Unreleased", __version__)

"""Flags and variables of `rie`: one for every setting, and one voice for mistakes."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from rie_server import __version__
from rie_server.commands.settings_options import setting_fields


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")} | variables
    return subprocess.run(
        [sys.executable, "-m", "rie_server", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environ,
    )


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"rie {__version__}\n"


def test_every_setting_has_a_flag_with_its_variable_and_its_words() -> None:
    shown = " ".join(run("serve", "--help", COLUMNS="200").stdout.split()).replace("- ", "-")
    for spec in setting_fields():
        assert f"--{spec.name.replace('_', '-')} VALUE" in shown
        assert f"RIE_{spec.name.upper()}" in shown
        assert spec.metadata["doc"].split("(")[0].split("-")[0] in shown


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        (("--port", "70000"), {}, "rie: --port='70000' is not a whole number from 1 to 65535."),
        ((), {"RIE_PORT": "x"}, "rie: RIE_PORT='x' is not a whole number from 1 to 65535."),
        (("--executor", "vm"), {}, "rie: --executor='vm' is not one of auto, process, docker."),
        (("--template", "/none.yaml"), {}, "rie: --template='/none.yaml' is not a file that exists."),
        ((), {"RIE_KEEPALIVE_SECONDS": "0"}, "rie: RIE_KEEPALIVE_SECONDS='0' is not a number of seconds above 0."),
        (
            (),
            {"RIE_RUNTIME_IMAGE": "mine/{version}"},
            "rie: RIE_RUNTIME_IMAGE='mine/{version}' is not the name of an image, with {runtime} as the only braces.",
        ),
        ((), {"RIE_PROT": "1"}, "rie: RIE_PROT is no setting of this server."),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    arguments: tuple[str, ...], variables: Mapping[str, str], line: str
) -> None:
    ended = run("serve", *arguments, **variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{line}\n")


def test_a_flag_wins_over_its_variable() -> None:
    ended = run("serve", "--port", "0", RIE_PORT="1")
    assert ended.stderr == "rie: --port='0' is not a whole number from 1 to 65535.\n"


def test_an_unknown_flag_is_a_usage_error() -> None:
    ended = run("serve", "--colour", "blue")
    assert ended.returncode == 2
    assert "--colour" in ended.stderr


@pytest.mark.parametrize("command", [("invoke", "hello"), ("list",)])
def test_a_missing_server_is_one_line_that_says_how_to_start_one(command: tuple[str, ...]) -> None:
    ended = run(*command, "--url", "http://127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("rie: No server answers at 127.0.0.1:1 (")
    assert ended.stderr.endswith("start one: rie serve\n")
    assert ended.stderr.count("\n") == 1


def test_an_address_that_is_no_http_address_is_refused() -> None:
    ended = run("invoke", "hello", "--url", "file:///etc/passwd")
    assert (ended.returncode, ended.stderr) == (
        1,
        "rie: file:///etc/passwd/2015-03-31/functions/hello/invocations is no http:// or https:// address.\n",
    )


def test_payload_and_event_exclude_each_other() -> None:
    ended = run("invoke", "hello", "-p", "{}", "-e", "-")
    assert ended.returncode == 2
    assert "exclude each other" in ended.stderr


def test_a_function_without_a_log_is_one_line(tmp_path: object) -> None:
    ended = run("logs", "hello", "--data-dir", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"rie: hello has no log in {tmp_path}/logs/us-east-1; has it been invoked?\n"


def test_the_light_commands_do_without_the_servers_packages() -> None:
    code = (
        "import sys, rie_server.__main__; "
        "print(sorted({'gunicorn', 'flask', 'boto3', 'botocore', 'sqlalchemy', 'yaml', 'docker'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"

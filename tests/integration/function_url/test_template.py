"""Function URLs out of a template: made at the start, told in its lines, and the same after the next one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RieServer
from tests.integration.function_url.test_calling import Url

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: hello
      Runtime: python3.11
      Handler: index.handler
      CodeUri: code
      AutoPublishAlias: live
      FunctionUrlConfig:
        AuthType: NONE
        Cors: {{AllowOrigins: ["https://page.example"], MaxAge: {age}}}
"""
LINE = re.compile(r"URL of hello:live: (\w+): (\S+)")


def start(folder: Path, start_rie: Callable[..., RieServer], age: int) -> RieServer:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code/index.py").write_text("def handler(event, context): return event['rawPath']")
    (folder / "template.yaml").write_text(TEMPLATE.format(age=age))
    return start_rie(template=folder / "template.yaml", auth="iam", access_keys="own=own")


@pytest.mark.parametrize("ages", [(5, 5), (5, 6)])
def test_a_url_of_the_template_is_open_and_keeps_its_address(
    tmp_path: Path, start_rie: Callable[..., RieServer], ages: tuple[int, int]
) -> None:
    found = []
    for age in ages:
        server = start(tmp_path, start_rie, age)
        match = LINE.search(server.output)
        assert match is not None, server.output
        reply = Url(server, match[2])("GET", "/a%20b", headers={"Origin": "https://page.example"})
        assert (reply.status_code, reply.json()) == (200, "/a%20b")
        assert reply.headers["Access-Control-Allow-Origin"] == "https://page.example"
        found.append(match)
        server.stop()
    assert [match[1] for match in found] == ["created", "unchanged" if ages[0] == ages[1] else "updated"]
    assert found[0][2].partition(":9")[0].split(".")[0] == found[1][2].split(".")[0]

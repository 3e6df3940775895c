"""The worked example of docs/time-and-events.md, as it stands there."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create
from tests.servers.moto import MotoServer

DOCUMENT = Path(__file__).parents[3] / "docs" / "time-and-events.md"
ORDERS = """
    def handler(event, context):
        if event["quantity"] < 0:
            raise ValueError("fewer than none")
"""


def test_the_test_in_the_document_passes(start_rie: Callable[..., RieServer], tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    with MotoServer() as moto:
        rie = start_rie(clock="manual", environ={"AWS_ENDPOINT_URL_SQS": moto.url})
        create(rie.client(), "orders", ORDERS)
        (tmp_path / "test_example.py").write_text(
            example.replace("http://127.0.0.1:9000", rie.url).replace("http://127.0.0.1:5000", moto.url)
        )
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_the_records_in_the_document_have_the_members_that_are_sent(rie: RieServer) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    create(rie.client(), "orders", ORDERS)
    sent = rie.client().invoke(FunctionName="orders", InvocationType="Event", Payload=b'{"quantity": 1}')
    request_id = sent["ResponseMetadata"]["RequestId"]
    with requests.post(f"{rie.url}/_rie/events/{request_id}/wait", timeout=60) as reply:
        assert list(reply.json()) == list(json.loads(shown))

"""What the tests of this folder share: zips, functions made from a piece of source, invocations as their caller sees
them, and a look at the processes that carry a server's mark.
"""

import base64
import io
import json
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/lambda-function"
PYTHON = "python3.11"
QUICKLY = {"Delay": 0.02, "MaxAttempts": 2000}
ECHO = """
    def handler(event, context):
        return event
"""


def zip_of(files: Mapping[str, str | bytes], *, executable: str = "bootstrap") -> bytes:
    """A zip of ``files`` by name; those may be executed whose name begins with ``executable``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if name.startswith(executable) else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def python_zip(source: str) -> bytes:
    """``source`` as ``app.py``; it may be indented with the test that holds it."""
    return zip_of({"app.py": textwrap.dedent(source)})


def create(client: Any, name: str, code: bytes | str, **members: Any) -> None:
    """Creates a function and waits until it is Active. ``code`` is a zip, or the Python of ``app.handler``."""
    content = python_zip(code) if isinstance(code, str) else code
    arguments = {"FunctionName": name, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, **members}
    client.create_function(Code={"ZipFile": content}, **arguments)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=QUICKLY)


def wait_updated(client: Any, name: str) -> None:
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=QUICKLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller of an invocation got. ``log`` is the tail, if it was asked for."""

    payload: Any
    error: str | None
    request_id: str
    log: str


def invoke(client: Any, name: str, event: Any = None, **members: Any) -> Answer:
    reply = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **members)
    assert reply["StatusCode"] == 200
    return Answer(
        payload=json.loads(reply["Payload"].read()),
        error=reply.get("FunctionError"),
        request_id=reply["ResponseMetadata"]["RequestId"],
        log=base64.b64decode(reply.get("LogResult", "")).decode(),
    )


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
    """Status, code and message of the refusal that ``call`` must meet."""
    try:
        call(**arguments)
    except ClientError as refused:
        error = refused.response["Error"]
        return refused.response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]
    raise AssertionError("the call was not refused")


def marked_processes(mark: Path | str) -> dict[int, str]:
    """Living processes whose environment variables hold ``mark`` (a server's data folder, say): pid -> command line.

    Whoever their parent is by now: an orphan shows here, too.
    """
    wanted = str(mark).encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # it has just ended, or is none of ours
    return found

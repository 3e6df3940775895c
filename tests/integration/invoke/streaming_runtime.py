"""A custom runtime that streams what its events tell it to, byte by byte, and what a caller sees of it."""

import base64
import json
import sys
import textwrap
import time
from dataclasses import dataclass, field
from typing import Any

from tests.integration.invoke.deploying import create, zip_of

# Plays the steps of an event: ["write", TEXT], ["bytes", NUMBER], ["sleep", SECONDS], ["trailers", {...}], ["close"],
# ["exit", STATUS], ["raw", TEXT], ["touch", PATH], ["print", TEXT]. A write of "@now" sends the time of the write.
# An event of a function URL has them in its body; one that is "late" waits so many seconds before anything is sent.
# Without "close" or "exit" the response ends as it should, and what the server said to it is the next one's "said".
_STREAMER = """\
    import http.client, json, os, socket, sys, time

    HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")

    def next_event():
        connection = http.client.HTTPConnection(HOST, int(PORT))
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        reply = connection.getresponse()
        event = json.loads(reply.read())
        connection.close()
        return event, reply.headers["Lambda-Runtime-Aws-Request-Id"]

    def chunk(data):
        return b"%x\\r\\n%b\\r\\n" % (len(data), data)

    def play(steps, request_id, content_type):
        wire = socket.create_connection((HOST, int(PORT)))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = [
            f"POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1",
            f"Host: {HOST}:{PORT}",
            "Lambda-Runtime-Function-Response-Mode: streaming",
            "Transfer-Encoding: chunked",
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        ]
        if content_type:
            head.append(f"Content-Type: {content_type}")
        wire.sendall("\\r\\n".join(head).encode() + b"\\r\\n\\r\\n")
        trailers = ""
        for what, value in steps:
            if what == "write":
                wire.sendall(chunk((repr(time.time()) if value == "@now" else value).encode()))
            elif what == "bytes":
                block = chunk(b"x" * 65536)
                for _ in range(value // 65536):
                    wire.sendall(block)
                if value % 65536:
                    wire.sendall(chunk(b"x" * (value % 65536)))
            elif what == "sleep":
                time.sleep(value)
            elif what == "print":
                print(value, flush=True)
            elif what == "touch":
                open(value, "w").close()
            elif what == "trailers":
                trailers = "".join(f"{name}: {text}\\r\\n" for name, text in value.items())
            elif what == "raw":
                wire.sendall(value.encode())
            elif what == "close":
                wire.close()
                return "closed"
            elif what == "exit":
                os._exit(value)
        wire.sendall(b"0\\r\\n" + trailers.encode() + b"\\r\\n")
        said = wire.makefile("rb").readline().decode().split()[1]
        wire.close()
        return said

    said = ""
    while True:
        event, request_id = next_event()
        event = json.loads(event["body"]) if "body" in event else event
        steps = event["steps"]
        if event.get("tell"):
            steps = [["write", said]]
        time.sleep(event.get("late", 0))
        said = play(steps, request_id, event.get("content_type", "text/plain"))
    """

# What AWS's Node client runs: `app.js`.
NODE_HANDLER = """\
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    exports.stream = awslambda.streamifyResponse(async (event, stream) => {
      stream.setContentType("text/plain");
      if (event.fail === "before") throw new TypeError("as asked");
      for (let piece = 0; piece < event.pieces; piece++) {
        stream.write(String(Date.now() / 1000) + "\\n");
        await wait(30);
      }
      if (event.fail === "after") throw new TypeError("half way");
      stream.end();
    });
    exports.web = awslambda.streamifyResponse(async (event, stream) => {
      const prelude = { statusCode: 201, headers: { "Content-Type": "text/html" }, cookies: ["a=b"] };
      stream = awslambda.HttpResponseStream.from(stream, prelude);
      stream.write("<p>");
      stream.end();
    });
    exports.many = awslambda.streamifyResponse(async (event, stream) => {
      const { once } = require("node:events");
      const block = Buffer.alloc(65536, "x");
      for (let sent = 0; sent < event.blocks; sent++) {
        if (!stream.write(block)) await once(stream, "drain");
      }
      stream.end();
    });
    exports.plain = async (event) => ({ ...event, plain: true });
    """

CLOSE: tuple[str, None] = ("close", None)


def create_streamer(client: Any, name: str, *, interpreter: str = sys.executable, **members: Any) -> None:
    code = zip_of({"bootstrap": f"#!{interpreter}\n{textwrap.dedent(_STREAMER)}"})
    create(client, name, code, Runtime="provided.al2023", Handler="any", **{"Timeout": 30, **members})


def create_program(client: Any, name: str, source: str, **members: Any) -> None:
    """A custom runtime whose ``bootstrap`` is ``source``."""
    create(client, name, zip_of({"bootstrap": source}), Runtime="provided.al2023", Handler="any", **members)


@dataclass
class Streamed:
    """What a caller got: pieces with the time they came at, and the members of InvokeComplete."""

    headers: dict[str, str]
    pieces: list[bytes] = field(default_factory=list)
    came_at: list[float] = field(default_factory=list)
    complete: dict[str, str] | None = None

    @property
    def text(self) -> str:
        return b"".join(self.pieces).decode()

    @property
    def error(self) -> dict[str, Any]:
        assert self.complete is not None
        assert self.complete["ErrorCode"] == "Unhandled"
        return json.loads(self.complete["ErrorDetails"])

    @property
    def log(self) -> str:
        assert self.complete is not None
        return base64.b64decode(self.complete["LogResult"]).decode()


def stream(client: Any, name: str, event: Any = None, **members: Any) -> Streamed:
    """Invokes a function and takes its stream to the end."""
    reply = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event).encode(), **members)
    streamed = Streamed(reply["ResponseMetadata"]["HTTPHeaders"])
    for part in reply["EventStream"]:
        assert streamed.complete is None, "InvokeComplete is the last event"
        if "PayloadChunk" in part:
            streamed.pieces.append(part["PayloadChunk"]["Payload"])
            streamed.came_at.append(time.time())
        else:
            streamed.complete = part["InvokeComplete"]
    return streamed


def steps(*of: tuple[str, Any], **members: Any) -> dict[str, Any]:
    """An event for the streamer."""
    return {"steps": of, **members}

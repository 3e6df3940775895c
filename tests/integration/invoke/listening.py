"""A function whose internal extension subscribes to telemetry, and keeps what it gets in a file of the test's."""

import json
from pathlib import Path
from typing import Any

from tests.written import lines_in

SUBSCRIBES = """
    import http.server, json, logging, os, socketserver, threading, urllib.error, urllib.request

    BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}"
    PORT, PATH = int(os.environ["PORT"]), os.environ["EVENTS_PATH"]
    REQUEST = json.loads(os.environ["SUBSCRIPTION"])
    answers = []

    def call(method, path, body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{BASE}{path}", data, names, method=method)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, dict(reply.headers), json.load(reply)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, {}, json.load(refused)

    def keep(events):
        with open(PATH, "a") as file:
            file.write("".join(json.dumps(event) + "\\n" for event in events))

    class Http(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_POST(self):
            keep(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        def log_message(self, *_): pass

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                keep([json.loads(line)])

    def listener():
        if REQUEST["destination"]["protocol"] == "TCP":
            return socketserver.ThreadingTCPServer(("0.0.0.0", PORT), Tcp)
        return http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Http)

    server = listener()
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _, headers, _ = call("POST", "/2020-01-01/extension/register", {"events": ["INVOKE"]},
                         Lambda_Extension_Name="listener")
    IDENTIFIER = headers["Lambda-Extension-Identifier"]

    def subscribe():
        status, _, document = call("PUT", os.environ["API"], REQUEST, Lambda_Extension_Identifier=IDENTIFIER)
        answers.append([status, document])

    subscribe()

    def listen():
        while True:
            call("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=IDENTIFIER)

    threading.Thread(target=listen, daemon=True).start()

    def handler(event, context):
        print("printed")
        logging.getLogger().error("two\\nlines")
        if event == "exit":
            os._exit(1)
        if event == "again":
            subscribe()
        return answers
"""


def environment(path: Path, port: int, *, protocol: str = "HTTP", **changes: Any) -> dict[str, Any]:
    """The variables of such a function, as CreateFunction takes them."""
    destination = {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/events"}
    if protocol == "TCP":
        destination = {"protocol": "TCP", "port": port}  # type: ignore[dict-item]
    request: dict[str, Any] = {
        "schemaVersion": "2025-01-29",
        "types": ["platform", "function", "extension"],
        "buffering": {"timeoutMs": 25},
        "destination": destination,
    }
    variables = {
        "PORT": str(port),
        "EVENTS_PATH": str(path),
        "API": changes.pop("api", "/2022-07-01/telemetry"),
        "SUBSCRIPTION": json.dumps(request | changes),
    }
    return {"Variables": variables}


def events_in(path: Path) -> list[Any]:
    return [json.loads(line) for line in lines_in(path)]

"""A schema registry of the tests' own: the part of Confluent's REST API that reads, on a free loopback port.

``with SchemaRegistryServer() as registry:`` starts it on a thread. ``registry.add`` makes a schema known and returns
its id; ``framed`` puts an id before a payload as Confluent's serializers do.
"""

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.servers.certificates import Certificates


def framed(schema_id: int, payload: bytes) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + payload


class SchemaRegistryServer:
    """
    Attributes:
        url: where it answers.
        asked: the paths that were asked for.
        user: ``name:password`` that it wants; None lets everybody in.
        status: what it answers instead of a schema, while it is set.
    """

    def __init__(self, *, user: str | None = None, certificates: Certificates | None = None) -> None:
        self.asked: list[str] = []
        self.user = user
        self.status: int | None = None
        self._answers: dict[str, dict[str, Any]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                status, answer = server._answer(self.path, self.headers.get("Authorization"))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: tests read answers, not logs."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificates is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server_store)
            context.load_verify_locations(certificates.authority)
            context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="schema-registry")

    def add(self, schema: Any, kind: str | None = None, references: list[dict[str, Any]] | None = None) -> int:
        """Makes a schema known, by its id and as version 1 of the subject ``s-ID``."""
        schema_id = len(self._answers) // 2 + 1
        answer: dict[str, Any] = {"schema": schema if isinstance(schema, str) else json.dumps(schema)}
        if kind is not None:
            answer["schemaType"] = kind
        if references:
            answer["references"] = references
        self._answers[f"/schemas/ids/{schema_id}"] = answer
        self._answers[f"/subjects/s-{schema_id}/versions/1"] = answer
        return schema_id

    def _answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        if self.status is not None:
            return self.status, {"error_code": self.status * 100, "message": "not now"}
        if self.user is not None and authorization != f"Basic {base64.b64encode(self.user.encode()).decode()}":
            return 401, {"error_code": 401, "message": "Unauthorized"}
        if path not in self._answers:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, self._answers[path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""A cluster of the tests' own that speaks MongoDB's protocol (OP_MSG, SCRAM-SHA-256) and has change streams.

It is no database: mongomock keeps the documents, and what is tested is how pymongo is used. ``with DocumentDbServer()``
runs it on threads of this process. ``stop`` and ``start`` cut every connection and come back with what was stored;
``expire`` forgets the changes so far, after which the server answers as MongoDB does, with error 286.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import socket
import socketserver
import struct
import threading
import time
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from tests.conftest import free_port, require

OP_MSG = 2013
USER, PASSWORD = "lambda", "let me in"
ROUNDS = 4096
HISTORY_LOST, AUTHENTICATION_FAILED, UNAUTHORIZED, NO_COMMAND = 286, 18, 13, 59


class RefusedError(Exception):
    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.reply = {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}


class Changes:
    """The log behind all change streams."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.log: list[dict[str, Any]] = []
        self.forgotten = 0

    def add(self, database: str, collection: str, kind: str, key: Any, **members: Any) -> None:
        from bson.timestamp import Timestamp  # noqa: PLC0415 - an extra

        with self.condition:
            number = len(self.log)
            self.log.append(
                {
                    "_id": token(number),
                    "operationType": kind,
                    "clusterTime": Timestamp(int(time.time()), number + 1),
                    "ns": {"db": database, "coll": collection},
                    "documentKey": {"_id": key},
                    **members,
                }
            )
            self.condition.notify_all()

    def after(self, position: dict[str, Any]) -> int:
        """Where a stream begins that is asked for so."""
        resume = position.get("resumeAfter") or position.get("startAfter")
        if resume is not None:
            first = int(resume["_data"], 16)
        elif (at := position.get("startAtOperationTime")) is not None:
            first = next((n for n, one in enumerate(self.log) if one["clusterTime"] >= at), len(self.log))
            if self.forgotten and at < self.log[self.forgotten - 1]["clusterTime"]:
                first = 0
        else:
            return len(self.log)
        if first < self.forgotten:
            raise RefusedError(HISTORY_LOST, "ChangeStreamHistoryLost", "Resume of change stream was not possible")
        return first


def token(done: int) -> dict[str, str]:
    """Says how many changes are done: that of change 0 is 1."""
    return {"_data": f"{done + 1:016x}"}


class DocumentDbServer:
    """
    Attributes:
        port: on 127.0.0.1.
        password: of ``USER``; a test may change it for connections that are to come.
    """

    def __init__(self) -> None:
        if find_spec("pymongo") is None or find_spec("mongomock") is None:
            require("documentdb", "pymongo or mongomock is not installed")
        import mongomock  # noqa: PLC0415 - an extra

        self.port = free_port()
        self.password = PASSWORD
        self.changes = Changes()
        self.documents = mongomock.MongoClient()
        self.cursors: dict[int, dict[str, Any]] = {}
        self.connections: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            cluster = self

        self._server = Server(("127.0.0.1", self.port), Connection)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="documentdb")
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._cut_all()
        self._server.server_close()
        self.cursors.clear()
        self._server = None

    def change_password(self, password: str) -> None:
        """Of ``USER``; who is connected has to come again."""
        self.password = password
        self._cut_all()

    def _cut_all(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)

    def expire(self) -> None:
        """Forgets all changes so far, and with them every open cursor."""
        with self.changes.condition:
            self.changes.forgotten = len(self.changes.log)
            self.changes.condition.notify_all()


class Connection(socketserver.BaseRequestHandler):
    """One connection: a request, an answer, and so on."""

    def handle(self) -> None:
        import bson  # noqa: PLC0415 - an extra

        self.cluster: DocumentDbServer = self.server.cluster  # type: ignore[attr-defined]
        self.cluster.connections.add(self.request)
        self.user: str | None = None
        self.scram: dict[str, Any] = {}
        try:
            while True:
                (size, request_id, _, operation) = struct.unpack("<iiii", self._read(16))
                body = self._read(size - 16)
                assert operation == OP_MSG, operation
                try:
                    reply = self._answer(_command(body))
                except RefusedError as refusal:
                    reply = refusal.reply
                data = b"\0\0\0\0\0" + bson.encode(reply)
                self.request.sendall(struct.pack("<iiii", 16 + len(data), 0, request_id, OP_MSG) + data)
        except OSError:
            pass
        finally:
            self.cluster.connections.discard(self.request)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        if name in ("hello", "ismaster", "isMaster"):
            return self._hello()
        if name in ("saslStart", "saslContinue"):
            return self._authenticate(name, command)
        if name in ("ping", "endSessions"):
            return {"ok": 1.0}
        if self.user is None:
            raise RefusedError(UNAUTHORIZED, "Unauthorized", f"Command {name} requires authentication")
        act = getattr(self, f"_{name.lower()}", None)
        if act is None:
            raise RefusedError(NO_COMMAND, "CommandNotFound", f"no such command: {name!r}")
        reply: dict[str, Any] = {"ok": 1.0, **act(command, command["$db"])}
        return reply

    def _hello(self) -> dict[str, Any]:
        place = f"127.0.0.1:{self.cluster.port}"
        return {
            "ok": 1.0,
            "isWritablePrimary": True,
            "ismaster": True,
            "setName": "rs0",
            "hosts": [place],
            "me": place,
            "primary": place,
            "minWireVersion": 0,
            "maxWireVersion": 13,
            "maxBsonObjectSize": 16 * 2**20,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
            "saslSupportedMechs": ["SCRAM-SHA-256"],
        }

    def _authenticate(self, name: str, command: dict[str, Any]) -> dict[str, Any]:
        text = bytes(command["payload"]).decode()
        if name == "saslStart":
            bare = text.split(",", 2)[2]
            said = dict(part.split("=", 1) for part in bare.split(","))
            nonce, salt = said["r"] + base64.b64encode(os.urandom(18)).decode(), os.urandom(16)
            first = f"r={nonce},s={base64.b64encode(salt).decode()},i={ROUNDS}"
            self.scram = {"bare": bare, "first": first, "salt": salt, "user": said["n"]}
            return {"ok": 1.0, "conversationId": 1, "done": False, "payload": first.encode()}
        without_proof, proof = text.rsplit(",p=", 1)
        message = f"{self.scram['bare']},{self.scram['first']},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.cluster.password.encode(), self.scram["salt"], ROUNDS)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        wanted = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        if self.scram["user"] != USER or not hmac.compare_digest(base64.b64decode(proof), wanted):
            raise RefusedError(AUTHENTICATION_FAILED, "AuthenticationFailed", "Authentication failed.")
        self.user = USER
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        payload = b"v=" + base64.b64encode(server)
        return {"ok": 1.0, "conversationId": 1, "done": True, "payload": payload}

    # --- writing ------------------------------------------------------------------------------------------------------

    def _insert(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        name = command["insert"]
        for document in command["documents"]:
            self.cluster.documents[database][name].insert_one(document)
            self.cluster.changes.add(database, name, "insert", document["_id"], fullDocument=document)
        return {"n": len(command["documents"])}

    def _update(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        name, changed = command["update"], 0
        collection = self.cluster.documents[database][name]
        for one in command["updates"]:
            for found in list(collection.find(one["q"], {"_id": 1}))[: None if one.get("multi") else 1]:
                collection.update_one({"_id": found["_id"]}, one["u"])
                fields = {"updatedFields": one["u"].get("$set", {}), "removedFields": list(one["u"].get("$unset", {}))}
                self.cluster.changes.add(database, name, "update", found["_id"], updateDescription=fields)
                changed += 1
        return {"n": changed, "nModified": changed}

    def _delete(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        name, removed = command["delete"], 0
        collection = self.cluster.documents[database][name]
        for one in command["deletes"]:
            for found in list(collection.find(one["q"], {"_id": 1}))[: one["limit"] or None]:
                collection.delete_one({"_id": found["_id"]})
                self.cluster.changes.add(database, name, "delete", found["_id"])
                removed += 1
        return {"n": removed}

    # --- change streams -----------------------------------------------------------------------------------------------

    def _aggregate(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        stage = command["pipeline"][0]["$changeStream"]
        scope = None if command["aggregate"] == 1 else command["aggregate"]
        cursor_id = int.from_bytes(os.urandom(7), "little") + 1
        self.cluster.cursors[cursor_id] = {
            "database": database,
            "collection": scope,
            "next": self.cluster.changes.after(stage),
            "look_up": stage.get("fullDocument") == "updateLookup",
        }
        return self._batch(cursor_id, "firstBatch", 0, command["cursor"].get("batchSize", 101))

    def _getmore(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        if command["getMore"] not in self.cluster.cursors:
            raise RefusedError(43, "CursorNotFound", f"cursor id {command['getMore']} not found")
        wait_seconds = command.get("maxTimeMS", 1000) / 1000
        return self._batch(command["getMore"], "nextBatch", wait_seconds, command.get("batchSize", 101))

    def _killcursors(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        for cursor_id in command["cursors"]:
            self.cluster.cursors.pop(cursor_id, None)
        return {"cursorsKilled": command["cursors"]}

    def _batch(self, cursor_id: int, name: str, wait_seconds: float, most: int) -> dict[str, Any]:
        cursor, changes = self.cluster.cursors[cursor_id], self.cluster.changes
        batch: list[dict[str, Any]] = []
        with changes.condition:
            changes.condition.wait_for(lambda: len(changes.log) > cursor["next"], wait_seconds)
            if cursor["next"] < changes.forgotten:
                raise RefusedError(HISTORY_LOST, "ChangeStreamHistoryLost", "The change stream has expired")
            while cursor["next"] < len(changes.log) and len(batch) < (most or 101):
                change = changes.log[cursor["next"]]
                cursor["next"] += 1
                if change["ns"]["db"] == cursor["database"] and cursor["collection"] in (None, change["ns"]["coll"]):
                    batch.append(self._shown(change, look_up=cursor["look_up"]))
        namespace = f"{cursor['database']}.{cursor['collection'] or '$cmd.aggregate'}"
        after = token(cursor["next"] - 1)
        return {"cursor": {"id": cursor_id, "ns": namespace, name: batch, "postBatchResumeToken": after}}

    def _shown(self, change: dict[str, Any], *, look_up: bool) -> dict[str, Any]:
        if not look_up or change["operationType"] != "update":
            return change
        collection = self.cluster.documents[change["ns"]["db"]][change["ns"]["coll"]]
        return {**change, "fullDocument": collection.find_one(change["documentKey"])}


def _command(body: bytes) -> dict[str, Any]:
    """The document of an OP_MSG, with the documents of its sequences as members."""
    import bson  # noqa: PLC0415 - an extra

    position, command = 4, {}
    sequences: dict[str, list[Any]] = {}
    while position < len(body):
        kind = body[position]
        (size,) = struct.unpack_from("<i", body, position + 1)
        section = body[position + 1 : position + 1 + size]
        if kind == 0:
            command = bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            sequences[name.decode()] = list(bson.decode_all(documents))
        position += 1 + size
    return {**command, **sequences}

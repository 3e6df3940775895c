"""Enhanced fan-out as AWS has it, in front of a kinesalite, which has none: on a free loopback port, in threads.

Knows consumers and answers SubscribeToShard with events in the encoding that AWS uses; everything else it passes on.
``with FanOutProxy(kinesis) as fan_out:`` ends with its threads.
"""

import base64
import itertools
import json
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.servers.kinesalite import KinesaliteServer

Answer = tuple[int, Mapping[str, Any]]


class FanOutProxy:
    """
    Args:
        port: to stand where another one was.

    Attributes:
        url: of the service.
        subscription_seconds: how long a subscription lasts; five minutes on AWS.
        subscribed: the StartingPosition of every subscription that began.
        refusals: each is the code that one SubscribeToShard is refused with.
    """

    def __init__(self, kinesis: KinesaliteServer, port: int = 0) -> None:
        self.kinesis = kinesis
        self.subscription_seconds = 300.0
        self.subscribed: list[Mapping[str, Any]] = []
        self.refusals: list[str] = []
        self.consumers: dict[str, str] = {}
        self.ending = threading.Event()
        self._numbers = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fan-out-proxy")

    @property
    def environ(self) -> dict[str, str]:
        return {**self.kinesis.environ, "AWS_ENDPOINT_URL_KINESIS": self.url}

    def create_consumer(self, stream_arn: str) -> str:
        arn = f"{stream_arn}/consumer/fan-out:{next(self._numbers)}"
        self.consumers[arn] = stream_arn
        return arn

    def delete_consumer(self, arn: str) -> None:
        del self.consumers[arn]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FanOutProxy

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.proxy.ending.is_set():
            self.close_connection = True
            return
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if operation == "DescribeStreamConsumer":
            self._reply(*self._describe(json.loads(body)))
        elif operation == "SubscribeToShard":
            self._subscribe(json.loads(body))
        else:
            self._pass_on(body)

    def _describe(self, members: Mapping[str, Any]) -> Answer:
        arn = members["ConsumerARN"]
        if arn not in self.proxy.consumers:
            return 400, {"__type": "ResourceNotFoundException", "message": f"Consumer {arn} not found."}
        described = {"ConsumerARN": arn, "ConsumerName": "fan-out", "ConsumerStatus": "ACTIVE"}
        return 200, {"ConsumerDescription": {**described, "StreamARN": self.proxy.consumers[arn]}}

    def _subscribe(self, members: Mapping[str, Any]) -> None:
        status, answer = self._describe(members)
        if self.proxy.refusals:
            status, answer = 400, {"__type": self.proxy.refusals.pop(0), "message": "Not now."}
        if status != 200:
            self._reply(status, answer)
            return
        stream = self.proxy.consumers[members["ConsumerARN"]].rpartition("/")[2]
        position = members["StartingPosition"]
        arguments: dict[str, Any] = {"ShardIteratorType": position["Type"]}
        if "SequenceNumber" in position:
            arguments["StartingSequenceNumber"] = position["SequenceNumber"]
        if position["Type"] == "AT_TIMESTAMP":  # see ``KinesisSource.iterator``
            arguments["ShardIteratorType"] = "TRIM_HORIZON"
        client, shard = self.proxy.kinesis.client(), members["ShardId"]
        try:
            iterator = client.get_shard_iterator(StreamName=stream, ShardId=shard, **arguments)["ShardIterator"]
        except client.exceptions.ClientError as refused:
            error = refused.response["Error"]
            self._reply(400, {"__type": error["Code"], "message": error["Message"]})
            return
        self.proxy.subscribed.append(position)
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._send_events(stream, shard, iterator, position.get("SequenceNumber", "0"))
        except OSError:
            self.close_connection = True

    def _send_events(self, stream: str, shard: str, iterator: str | None, continuation: str) -> None:
        client = self.proxy.kinesis.client()
        self._chunk(message("initial-response", {}))
        ends_at = time.monotonic() + self.proxy.subscription_seconds
        said_at = 0.0
        while time.monotonic() < ends_at and not self.proxy.ending.is_set():
            answer = client.get_records(ShardIterator=iterator, Limit=1000)
            iterator = answer.get("NextShardIterator")
            if answer["Records"] or iterator is None or time.monotonic() - said_at > 0.5:
                said_at = time.monotonic()
                continuation = answer["Records"][-1]["SequenceNumber"] if answer["Records"] else continuation
                event = _event(answer, continuation)
                if iterator is None:
                    event |= {"ContinuationSequenceNumber": None, "ChildShards": self._children(stream, shard)}
                self._chunk(message("SubscribeToShardEvent", event))
            if iterator is None:
                break
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def _children(self, stream: str, shard: str) -> list[dict[str, Any]]:
        shards = self.proxy.kinesis.client().list_shards(StreamName=stream)["Shards"]
        return [
            {"ShardId": one["ShardId"], "ParentShards": [shard], "HashKeyRange": one["HashKeyRange"]}
            for one in shards
            if shard in (one.get("ParentShardId"), one.get("AdjacentParentShardId"))
        ]

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _pass_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        request = urllib.request.Request(self.proxy.kinesis.url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request) as reply:
                status, content, kind = reply.status, reply.read(), reply.headers["Content-Type"]
        except urllib.error.HTTPError as refused:
            status, content, kind = refused.code, refused.read(), refused.headers["Content-Type"]
        self._send(status, content, kind)

    def _reply(self, status: int, members: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(members).encode(), "application/x-amz-json-1.1")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _event(answer: Mapping[str, Any], continuation: str) -> dict[str, Any]:
    records = [
        {
            "SequenceNumber": record["SequenceNumber"],
            "PartitionKey": record["PartitionKey"],
            "Data": base64.b64encode(record["Data"]).decode(),
            "ApproximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        }
        for record in answer["Records"]
    ]
    members = {"Records": records, "MillisBehindLatest": answer.get("MillisBehindLatest") or 0}
    return {**members, "ContinuationSequenceNumber": continuation}


def message(event_type: str, members: Mapping[str, Any]) -> bytes:
    """One message of the event-stream encoding."""
    names = {":message-type": "event", ":event-type": event_type, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    body = json.dumps(members).encode()
    lengths = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    content = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + body
    return content + struct.pack("!I", zlib.crc32(content))

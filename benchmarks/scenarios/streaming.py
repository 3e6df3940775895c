"""A streamed response: when its first byte is there, and how many bytes a second follow, next to a bare copy.

The bare copy passes the same bytes from one socket to another through one uvloop process, without HTTP, frames or
checksums. Both are read by this process, which counts bytes and does nothing else with them.
"""

import base64
import io
import json
import re
import socket
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.contenders.contender import HANDLERS, ended_at_last, private_folder
from benchmarks.contenders.server import FUNCTIONS_PATH, ROLE, Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import REPOSITORY
from benchmarks.processes import LOOPBACK, ChildProcess, ContenderFailed, clean_environment, free_port
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "streaming"
TITLE = "Streamed response: first byte, and 128 MB"
CLAIM = "figures only"
BARE, OURS = "bare copy", "server"
FIRST_BYTE, RATE = "first byte after its write", "throughput"
STREAM_BYTES = 128 * 1024 * 1024
FIRST_BYTES_MEASURED = 20
MEGABYTE = 1024 * 1024
SOCKET_SECONDS_AT_MOST = 60.0
INVOKE = "/2021-11-15/functions/streamer/response-streaming-invocations"
_WRITTEN_AT = re.compile(rb"@(\d+\.\d+)@")


def run(effort: Effort) -> ScenarioResult:
    with bare_copy() as relay_port, running_server() as ours:
        _create_streamer(ours)
        measures = {
            BARE: partial(_measure, relay_port, _bare_request),
            OURS: partial(_measure, ours.port, _invocation),
        }
        for measure in measures.values():
            measure(stream_bytes=MEGABYTE)
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=FIRST_BYTE, of=OURS, to=BARE),
            ratio_check(series, metric=RATE, of=OURS, to=BARE),
        ),
    )


@contextmanager
def bare_copy() -> Iterator[int]:
    """The port of a running bare copy."""
    port, source_port = free_port(), free_port()
    with private_folder() as folder, ended_at_last() as processes:
        for arguments, listens_on in (
            (["source", str(source_port)], source_port),
            (["relay", str(port), str(source_port)], port),
        ):
            process = ChildProcess(
                [sys.executable, "-m", "benchmarks.bare_stream", *arguments],
                environment=clean_environment(PYTHONPATH=str(REPOSITORY)),
                folder=folder,
                log_name=f"{arguments[0]}.log",
            )
            processes.append(process)
            process.listens_on(listens_on)
        yield port


def _create_streamer(ours: Server) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        source = (HANDLERS / "streaming_bootstrap.py").read_text(encoding="utf-8")
        archive.writestr(entry, f"#!{sys.executable}\n{source}")
    description = {
        "FunctionName": "streamer",
        "Role": ROLE,
        "Runtime": "provided.al2023",
        "Handler": "any",
        "Timeout": 60,
        "Code": {"ZipFile": base64.b64encode(packed.getvalue()).decode()},
    }
    ours.call("POST", FUNCTIONS_PATH, description)
    configuration = f"{FUNCTIONS_PATH}/streamer/configuration"
    ours.process.wait_until(lambda: ours.call("GET", configuration)["State"] == "Active")


def _bare_request(size_bytes: int) -> bytes:
    return b"%d\n" % size_bytes


def _invocation(size_bytes: int) -> bytes:
    body = json.dumps({"bytes": size_bytes})
    return f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _measure(port: int, request: Callable[[int], bytes], *, stream_bytes: int = STREAM_BYTES) -> Metrics:
    firsts = [_stream(port, request(0), 0)[0] for _ in range(FIRST_BYTES_MEASURED)]
    _, seconds = _stream(port, request(stream_bytes), stream_bytes)
    return {
        (FIRST_BYTE, "ms"): statistics.median(firsts) * 1000,
        (RATE, "MB/s"): stream_bytes / MEGABYTE / seconds,
    }


def _stream(port: int, request: bytes, size_bytes: int) -> tuple[float, float]:
    """Seconds from the first write to its arrival, and from there until all bytes have come."""
    buffer = bytearray(MEGABYTE)
    with socket.create_connection((LOOPBACK, port), SOCKET_SECONDS_AT_MOST) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        seen, received = b"", 0
        while (written := _WRITTEN_AT.search(seen)) is None:
            data = connection.recv(65536)
            if not data:
                raise ContenderFailed(f"the stream ended after {seen!r}")
            seen, received = seen + data, received + len(data)
        came_at, begun = time.time(), time.perf_counter()
        while received < size_bytes:
            size = connection.recv_into(buffer)
            if not size:
                raise ContenderFailed(f"the stream ended after {received} bytes")
            received += size
        return came_at - float(written[1]), time.perf_counter() - begun

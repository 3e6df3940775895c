"""The control plane: how long one client waits for GetFunction and for pages of ListFunctions, with 1,000 functions.

Both contenders are alive during the whole run and are asked in turns, on a connection that stays open.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.contenders.contender import RUNTIME, Unavailable
from benchmarks.contenders.moto import NAME as MOTO
from benchmarks.contenders.moto import moto
from benchmarks.contenders.server import FUNCTIONS_PATH, ROLE, running_server, zipped_handlers
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.figures import ScenarioResult, percentile, ratio_check
from benchmarks.processes import LOOPBACK, ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "control_plane"
TITLE = "The control plane with 1,000 functions"
CLAIM = "GetFunction and ListFunctions are no slower than moto's"
FUNCTIONS = 1000
GET, LIST, ALL = "p50 of GetFunction", "p50 of a page of ListFunctions", "all 1,000 functions by ListFunctions"
CREATE = "p50 of CreateFunction"
REQUEST_SECONDS_AT_MOST = 60.0
NOTES = (
    "moto keeps everything in memory, and gives all functions on one page unless it is asked for fewer.",
    "The server writes each function to its disk before it answers.",
)

# Answers one request of the Lambda API: method, path, body.
Ask = Callable[[str, str, bytes], bytes]


def run(effort: Effort) -> ScenarioResult:
    with ExitStack() as stack:
        askers, created, reason = {}, {}, ""
        running = stack.enter_context(running_server())
        askers[SERVER] = stack.enter_context(_connection(running.port))
        created[SERVER] = _create_all(askers[SERVER], ROLE)
        try:
            port, role = stack.enter_context(moto())
        except Unavailable as missing:
            reason = str(missing)
        else:
            askers[MOTO] = stack.enter_context(_connection(port))
            created[MOTO] = _create_all(askers[MOTO], role)
        measures = {
            name: partial(_measure, ask, requests=effort.requests // 10, created_ms=created[name])
            for name, ask in askers.items()
        }
        series = interleaved(measures, rounds=effort.rounds)
    checks = [
        ratio_check(series, metric=metric, of=SERVER, to=MOTO, limit=limit, reason=reason)
        for metric, limit in ((GET, 1.0), (ALL, 1.0), (LIST, None), (CREATE, None))
    ]
    return ScenarioResult(name=NAME, title=TITLE, series=series, checks=tuple(checks), notes=NOTES)


@contextmanager
def _connection(port: int) -> Iterator[Ask]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=REQUEST_SECONDS_AT_MOST)
    scope = "Credential=local/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Content-Type": "application/json", "Authorization": f"AWS4-HMAC-SHA256 {scope}"}

    def ask(method: str, path: str, body: bytes) -> bytes:
        connection.request(method, path, body=body or None, headers=headers)
        reply = connection.getresponse()
        content = reply.read()
        if reply.status not in {200, 201}:
            raise ContenderFailed(f"{method} {path}: {reply.status} {content[:300]!r}")
        return content

    try:
        yield ask
    finally:
        connection.close()


def _create_all(ask: Ask, role: str) -> float:
    """Creates all functions; the median of how long each took, in milliseconds."""
    description = {"Role": role, "Runtime": RUNTIME, "Handler": "bench_handler.hello"}
    code = {"ZipFile": zipped_handlers()}
    took_ms = []
    for number in range(FUNCTIONS):
        body = json.dumps({**description, "FunctionName": f"function-{number:04}", "Code": code}).encode()
        begun = time.perf_counter()
        ask("POST", FUNCTIONS_PATH, body)
        took_ms.append((time.perf_counter() - begun) * 1000)
    return percentile(took_ms, 50)


def _measure(ask: Ask, *, requests: int, created_ms: float) -> Metrics:
    one = f"{FUNCTIONS_PATH}/function-0500"
    page = f"{FUNCTIONS_PATH}?MaxItems=50"
    return {
        (GET, "ms"): _p50(lambda: ask("GET", one, b""), requests),
        (LIST, "ms"): _p50(lambda: ask("GET", page, b""), requests // 4),
        (ALL, "ms"): _p50(lambda: _list_all(ask), max(1, requests // 40)),
        (CREATE, "ms"): created_ms,
    }


def _list_all(ask: Ask) -> None:
    found, marker = 0, ""
    while True:
        answer = json.loads(ask("GET", f"{FUNCTIONS_PATH}?MaxItems=50{marker}", b""))
        found += len(answer["Functions"])
        if not answer.get("NextMarker"):
            break
        marker = f"&Marker={answer['NextMarker']}"
    if found != FUNCTIONS:
        raise ContenderFailed(f"ListFunctions gave {found} of {FUNCTIONS} functions")


def _p50(call: Callable[[], object], times: int) -> float:
    took_ms = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        took_ms.append((time.perf_counter() - begun) * 1000)
    return percentile(took_ms, 50)

"""A megabyte there and back: one client, one warm environment, a function that returns what it was given."""

import json
from contextlib import ExitStack
from functools import partial

from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.emulator import emulator
from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "payload"
TITLE = "Warm invocation with 1 MB of payload each way, one client"
CLAIM = "figures only"
PAYLOAD_BYTES = 1024 * 1024


def payload() -> str:
    """A JSON document of exactly ``PAYLOAD_BYTES``, spelled as awslambdaric will spell it."""
    frame = json.dumps({"data": ""})
    return json.dumps({"data": "x" * (PAYLOAD_BYTES - len(frame))})


def run(effort: Effort) -> ScenarioResult:
    body = payload()
    load = Load(
        requests=max(20, effort.requests // 10), seconds=effort.seconds, body=body, expected=body, warmup_requests=5
    )
    warm = Load(requests=5, body=body, expected=body)
    unavailable = ""
    with ExitStack() as stack:
        contenders: list[Contender] = []
        try:
            contenders.append(stack.enter_context(emulator(handler="echo", warm=warm)))
        except Unavailable as reason:
            unavailable = str(reason)
        contenders.append(stack.enter_context(server(handler="echo", warm=warm)))
        contenders.append(stack.enter_context(floor(handler="echo", warm=warm)))
        measures = {one.name: partial(latencies, one, load) for one in contenders}
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric="p50", of="server", to="emulator", reason=unavailable),
            ratio_check(series, metric="p50", of="server", to="floor"),
        ),
    )

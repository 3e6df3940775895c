"""Payloads there and back, from 1 KB to the 6 MB that AWS allows: one client, one warm environment, an echo."""

import json
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.emulator import emulator
from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import server
from benchmarks.figures import Curve, Line, Point, ScenarioResult, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "payload"
TITLE = "Warm invocation with a payload each way, one client"
CLAIM = "6 MB: at least 0.70 of the floor's MB/s"
SIZES: Mapping[str, int] = {"1 KB": 1024, "100 KB": 100 * 1024, "1 MB": 1024 * 1024, "6 MB": 6 * 1024 * 1024}
_LARGEST = "6 MB"


def payload(size_bytes: int) -> str:
    """A JSON document of exactly that size, spelled as awslambdaric will spell it."""
    frame = json.dumps({"data": ""})
    return json.dumps({"data": "x" * (size_bytes - len(frame))})


def run(effort: Effort) -> ScenarioResult:
    bodies = {name: payload(size_bytes) for name, size_bytes in SIZES.items()}
    warm = Load(requests=5, body=bodies["1 MB"], expected=bodies["1 MB"])
    unavailable = ""
    with ExitStack() as stack:
        contenders: list[Contender] = []
        try:
            contenders.append(stack.enter_context(emulator(handler="echo", warm=warm)))
        except Unavailable as reason:
            unavailable = str(reason)
        contenders.append(stack.enter_context(server(handler="echo", warm=warm)))
        contenders.append(stack.enter_context(floor(handler="echo", warm=warm)))
        measures = {one.name: lambda one=one: _measure(one, bodies, effort) for one in contenders}
        series = interleaved(measures, rounds=effort.rounds)
    places = {f"p50, {name}": size_bytes / 1024 for name, size_bytes in SIZES.items()}
    lines = tuple(
        Line(name=who, points=tuple(Point(at=at, contender=who, metric=metric) for metric, at in places.items()))
        for who in measures
    )
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=f"{_LARGEST} both ways", of="server", to="floor", limit=0.70, at_least=True),
            *(
                ratio_check(series, metric=f"p50, {name}", of="server", to=other, reason=unavailable)
                for other in ("emulator", "floor")
                for name in SIZES
            ),
        ),
        curves=(Curve(dimension="KB each way", figure="p50", lines=lines),),
    )


def _measure(contender: Contender, bodies: Mapping[str, str], effort: Effort) -> Metrics:
    figures: dict[tuple[str, str], float] = {}
    for name, body in bodies.items():
        requests = max(8, min(effort.requests // 10, 100 * 1024 * 1024 // len(body)))
        outcome = run_load(
            contender.target,
            Load(requests=requests, seconds=effort.seconds, body=body, expected=body, warmup_requests=2),
        )
        figures[f"p50, {name}", "ms"] = outcome.latency(50)
        figures[f"{name} both ways", "MB/s"] = outcome.per_second * 2 * len(body) / 1e6
    return figures

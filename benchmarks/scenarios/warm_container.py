"""A function image whose container is warm, next to the SAM CLI's and to moto, which starts one for each invocation.

All run their containers on the same engine, with the same handler. The SAM CLI and the server run the same image.
"""

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders.containers import function_image, missing_docker
from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.moto import NAME as MOTO
from benchmarks.contenders.moto import moto_in_containers
from benchmarks.contenders.sam import NAME as SAM
from benchmarks.contenders.sam import sam, sam_version
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.load import Load, run_load
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "warm_container"
TITLE = "Warm invocation of a function image"
CLAIM = "no slower than the SAM CLI"
FUNCTION = "bench"
CLIENTS = 16
ENVIRONMENTS = 4
FASTEST, P50, RATE = "fastest, 1 client", "p50, 1 client", f"invocations per second, {CLIENTS} clients"
ROUNDS_AT_MOST = 5
REQUESTS_AT_MOST = 100_000


def run(effort: Effort) -> ScenarioResult:
    if missing := missing_docker():
        return skipped(NAME, TITLE, CLAIM, missing)
    missed: dict[str, str] = {}
    with ExitStack() as stack:
        image = stack.enter_context(function_image())
        ours = stack.enter_context(running_server(executor="docker", max_environments=ENVIRONMENTS))
        ours.create_function(FUNCTION, code={"ImageUri": image})
        run_load(ours.target(FUNCTION), Load(clients=CLIENTS, requests=20 * CLIENTS))
        contenders = [ours.as_contender(FUNCTION)]
        for name, starting in ((SAM, sam(image, warm=True)), (MOTO, moto_in_containers())):
            try:
                contenders.append(stack.enter_context(starting))
            except Unavailable as reason:
                missed[name] = str(reason)
        measures = {one.name: partial(_measure, one, effort) for one in contenders}
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=P50, of=SAM, to=SERVER, limit=1.0, at_least=True, reason=missed.get(SAM, "")),
            ratio_check(
                series, metric=FASTEST, of=SAM, to=SERVER, limit=1.0, at_least=True, reason=missed.get(SAM, "")
            ),
            ratio_check(series, metric=RATE, of=SERVER, to=SAM, reason=missed.get(SAM, "")),
            ratio_check(series, metric=P50, of=MOTO, to=SERVER, reason=missed.get(MOTO, "")),
        ),
        notes=(
            f"sam is `sam local start-lambda --warm-containers EAGER` {sam_version()}.",
            f"It has one container, which takes one invocation at a time; the server may start {ENVIRONMENTS}.",
            "Many of sam's answers, in some rounds all of them, wait a second for the container's log.",
            "moto keeps no container: each invocation starts two, one of which brings the code, and removes them.",
        ),
    )


def _measure(contender: Contender, effort: Effort) -> Metrics:
    alone = run_load(contender.target, Load(requests=effort.requests, seconds=effort.seconds * 2, warmup_requests=0))
    figures = {(P50, "ms"): alone.latency(50), (FASTEST, "ms"): alone.latency(0)}
    if contender.name == MOTO:
        return figures
    load = Load(clients=CLIENTS, requests=REQUESTS_AT_MOST, seconds=effort.seconds, warmup_requests=0)
    return figures | {(RATE, "/s"): run_load(contender.target, load).per_second}

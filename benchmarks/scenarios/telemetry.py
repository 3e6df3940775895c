"""What telemetry costs each invocation: one extension that subscribes, one that does not, and none, side by side."""

from functools import partial

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "telemetry"
TITLE = "Warm synchronous invocation with a telemetry subscriber, one client"
CLAIM = "figures only"
ON, OFF, NONE = "telemetry on", "telemetry off", "no extension"


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    handlers = {ON: "bench_subscriber.hello", OFF: "bench_extension.hello", NONE: "bench_handler.hello"}
    with running_server(max_environments=len(handlers)) as ours:
        contenders = {}
        for number, (name, handler) in enumerate(handlers.items()):
            ours.create_function(f"told-{number}", handler)
            target = ours.target(f"told-{number}")
            contenders[name] = Contender(name=name, target=target, processes=(ours.process,))
            run_load(target, Load(requests=20))
        measures = {name: partial(latencies, contender, load) for name, contender in contenders.items()}
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric="p50", of=ON, to=OFF),
            ratio_check(series, metric="p99", of=ON, to=OFF),
            ratio_check(series, metric="p50", of=OFF, to=NONE),
        ),
        notes=(
            "The subscriber gets three events of each invocation, in batches of up to a second, and throws them away.",
            "Extension and subscriber share the interpreter of their handler.",
        ),
    )

"""What an internal extension costs each invocation: the same handler with one and without, side by side."""

from functools import partial

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "internal_extension"
TITLE = "Warm synchronous invocation with an internal extension, one client"
CLAIM = "figures only"
WITH, WITHOUT = "with an extension", "without"


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    with running_server(max_environments=2) as ours:
        ours.create_function("watched", "bench_extension.hello")
        ours.create_function("plain")
        contenders = {
            name: Contender(name=name, target=ours.target(function), processes=(ours.process,))
            for name, function in ((WITH, "watched"), (WITHOUT, "plain"))
        }
        for contender in contenders.values():
            run_load(contender.target, Load(requests=20))
        measures = {name: partial(latencies, contender, load) for name, contender in contenders.items()}
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric="p50", of=WITH, to=WITHOUT),
            ratio_check(series, metric="p99", of=WITH, to=WITHOUT),
        ),
        notes=(
            "The extension shares the interpreter of its handler.",
            "A client that calls again at once finds the environment busy until the extension asks for its next event.",
        ),
    )

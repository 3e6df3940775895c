"""Where the server spends its time under load: ``py-spy`` looks at it from outside while sixteen clients call.

Optional: needs ``py-spy`` on the PATH and the right to trace a child process.
"""

import shutil
from collections import Counter
from pathlib import Path

from benchmarks.contenders.contender import private_folder
from benchmarks.contenders.server import server
from benchmarks.load import Load, run_load
from benchmarks.processes import ChildProcess, clean_environment, cpu_seconds
from benchmarks.tables import text_table

SECONDS = 8
SAMPLES_PER_SECOND = 250
ROWS = 40
ENVIRONMENTS = 8


def profile_server() -> int:
    """Prints the functions that took most of the serving process's time; returns an exit status."""
    tool = shutil.which("py-spy")
    if tool is None:
        print("py-spy is not on the PATH (pip install py-spy).")
        return 1
    with server(environments=ENVIRONMENTS) as contender, private_folder() as folder:
        busiest = max(contender.server_pids(), key=lambda pid: cpu_seconds([pid]))
        stacks = folder / "stacks.txt"
        watcher = _record(tool, busiest, stacks)
        outcome = run_load(contender.target, Load(clients=16, requests=1_000_000, seconds=SECONDS + 2))
        watcher.wait_until(watcher.has_ended)
        print(f"{outcome.per_second:,.0f} invocations per second while being watched\n")
        print(_summary(stacks))
    return 0


def _record(tool: str, pid: int, stacks: Path) -> ChildProcess:
    command = [tool, "record", "--pid", str(pid), "--duration", str(SECONDS), "--rate", str(SAMPLES_PER_SECOND)]
    # Only who holds the interpreter's lock is at work, and a paused server would behave differently.
    command += ["--format", "raw", "--threads", "--gil", "--nonblocking", "--output", str(stacks)]
    return ChildProcess(command, environment=clean_environment(), folder=stacks.parent, log_name="watcher.log")


def _summary(stacks: Path) -> str:
    """Functions by their own share of the samples, with the share of all that they called; threads by theirs."""
    own, whole, threads = Counter[str](), Counter[str](), Counter[str]()
    for line in stacks.read_text(encoding="utf-8").splitlines():
        text, _, samples = line.rpartition(" ")
        thread, *frames = text.split(";")
        named = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in frames]
        threads[thread] += int(samples)
        own[named[-1] if named else thread] += int(samples)
        for name in set(named):
            whole[name] += int(samples)
    total = sum(own.values()) or 1

    def percent(count: int) -> str:
        return f"{count / total:.1%}"

    by_thread = text_table(("thread", "samples"), [(name, percent(count)) for name, count in threads.most_common()])
    rows = [(name, percent(count), percent(whole[name])) for name, count in own.most_common(ROWS)]
    wide = [(name, percent(own[name]), percent(count)) for name, count in whole.most_common(ROWS)]
    headings = ("function", "own", "with callees")
    return f"{by_thread}\n\n{text_table(headings, rows)}\n\n{text_table(headings, wide)}"

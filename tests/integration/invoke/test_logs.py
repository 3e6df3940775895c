"""Logs of invocations: AWS's lines in AWS's order, on the server's output, in the function's log and in the tail that a
caller asks for; written while the handler runs, and attributed to the right request.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
INIT_START = re.compile(
    r"INIT_START Runtime Version: python:3\.11\.v\d+\t"
    r"Runtime Version ARN: arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}"
)
START = re.compile(rf"START RequestId: ({UUID}) Version: \$LATEST")
END = re.compile(rf"END RequestId: ({UUID})")
REPORT = re.compile(
    rf"REPORT RequestId: ({UUID})\tDuration: (?P<duration>\d+\.\d\d) ms\tBilled Duration: (?P<billed>\d+) ms\t"
    r"Memory Size: (?P<size>\d+) MB\tMax Memory Used: (?P<used>\d+) MB\t(?:Init Duration: (?P<init>\d+\.\d\d) ms\t)?"
    r"(?P<status>.*)"
)
MARKED = re.compile(r"\[[a-z-]+\] ")
LOG_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8}) (.*)")
TALKS = """
    import sys, time
    print("initialized")
    def handler(event, context):
        print("to stdout", event)
        print("to stderr", event, file=sys.stderr)
        time.sleep(0.1)
        return event
"""


def shown(server: RieServer, name: str) -> list[str]:
    """The function's lines on the server's output; of a message with several lines only the first is marked."""
    prefix, lines, is_own = f"[{name}] ", [], False
    for line in server.output.splitlines():
        is_own = line.startswith(prefix) or (is_own and not MARKED.match(line))
        if is_own:
            lines.append(line.removeprefix(prefix))
    return lines


def log_of(server: RieServer, name: str) -> list[str]:
    return (server.data_dir / "logs" / "us-east-1" / f"{name}.log").read_text().splitlines()


def settled(server: RieServer, name: str, request_id: str) -> list[str]:
    """The function's lines on the output, once the REPORT of ``request_id`` is among them."""
    report = f"REPORT RequestId: {request_id}"
    wait_until(lambda: any(line.startswith(report) for line in shown(server, name)), what="the REPORT line")
    return shown(server, name)


def report_of(line: str) -> "re.Match[str]":
    report = REPORT.fullmatch(line)
    assert report is not None, line
    return report


def test_a_cold_and_a_warm_invocation_are_logged_as_in_aws(shared: RieServer, client: Any) -> None:
    create(client, "talks", TALKS, MemorySize=192)
    cold, warm = (invoke(client, "talks", event) for event in ("cold", "warm"))
    lines = settled(shared, "talks", warm.request_id)
    assert INIT_START.fullmatch(lines[0])
    assert lines[1] == "initialized"
    assert len(lines) == 12
    for block, answer, event in ((lines[2:7], cold, "cold"), (lines[7:], warm, "warm")):
        assert START.fullmatch(block[0])[1] == answer.request_id
        assert block[1:3] == [f"to stdout {event}", f"to stderr {event}"]
        assert END.fullmatch(block[3])[1] == answer.request_id
        report = report_of(block[4])
        assert report[1] == answer.request_id
        assert 100 <= float(report["duration"]) < 1000
        assert (report["size"], report["status"]) == ("192", "")
        assert 10 <= int(report["used"]) <= 192
    first, second = report_of(lines[6]), report_of(lines[11])
    assert 10 < float(first["init"]) < 10_000
    assert second["init"] is None
    billed = float(first["duration"]) + float(first["init"])
    assert billed <= int(first["billed"]) < billed + 1.02
    assert float(second["duration"]) <= int(second["billed"]) < float(second["duration"]) + 1.02


def test_the_functions_log_has_the_same_lines_with_time_and_stream(shared: RieServer, client: Any) -> None:
    create(client, "files", TALKS)
    began = time.time()
    answer = invoke(client, "files", 1)
    lines = settled(shared, "files", answer.request_id)
    wait_until(lambda: len(log_of(shared, "files")) == len(lines), what="the file")
    parts = [LOG_LINE.fullmatch(line) for line in log_of(shared, "files")]
    assert [part[3] for part in parts if part] == lines
    assert len({part[2] for part in parts if part}) == 1
    times = [part[1] for part in parts if part]
    assert times == sorted(times)
    assert time.strftime("%Y-%m-%dT%H:%M", time.gmtime(began)) <= times[0]


def test_a_followers_log_grows_while_the_handler_runs(shared: RieServer, client: Any, tmp_path: Path) -> None:
    source = """
        import pathlib, time
        def handler(event, context):
            print("waiting", flush=True)
            while not pathlib.Path(event).exists():
                time.sleep(0.01)
            print("released")
    """
    create(client, "waits", source, Timeout=30)
    release = tmp_path / "release"
    command = [sys.executable, "-m", "rie_server", "logs", "waits", "--follow", f"--data-dir={shared.data_dir}"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")}
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(iter(follower.stdout.readline, "")), name="read-follower")
    reader.start()
    pool = ThreadPoolExecutor(1)
    try:
        running = pool.submit(invoke, client, "waits", str(release))
        for words in ("START RequestId", "waiting"):
            wait_until(lambda w=words: any(w in line for line in list(seen)), seconds=20, what=f"{words} in the log")
        assert not running.done()
        assert not any("released" in line or "END RequestId" in line for line in seen)
        assert "[waits] waiting" in shared.output
        release.touch()
        wait_until(lambda: any("REPORT RequestId" in line for line in list(seen)), what="the rest of the log")
        assert running.result(10).error is None
    finally:
        release.touch()
        pool.shutdown()
        follower.kill()
        follower.wait()
        reader.join()
        follower.stdout.close()
    words = [line.split(" ", 2)[2].split()[0] for line in seen]
    assert words == ["INIT_START", "START", "waiting", "released", "END", "REPORT"]


# --- the tail ---


def test_the_tail_is_the_invocations_own_log_without_init(client: Any) -> None:
    create(client, "tails", TALKS)
    for event in ("cold", "warm"):
        answer = invoke(client, "tails", event, LogType="Tail")
        lines = answer.log.splitlines()
        assert START.fullmatch(lines[0])[1] == answer.request_id
        assert lines[1:3] == [f"to stdout {event}", f"to stderr {event}"]
        assert END.fullmatch(lines[3])[1] == answer.request_id
        assert report_of(lines[4])[1] == answer.request_id
        assert (report_of(lines[4])["init"] is not None) == (event == "cold")
        assert len(lines) == 5
    assert invoke(client, "tails", LogType="None").log == ""


def test_the_tail_keeps_the_last_4_kilobytes(shared: RieServer, client: Any) -> None:
    source = """
        def handler(event, context):
            for number in range(1000):
                print(f"line {number}")
    """
    create(client, "long", source)
    answer = invoke(client, "long", LogType="Tail")
    assert len(answer.log.encode()) == 4096
    assert "START" not in answer.log
    *_, last, end, report = answer.log.splitlines()
    assert last == "line 999"
    assert END.fullmatch(end)
    assert REPORT.fullmatch(report)
    lines = settled(shared, "long", answer.request_id)
    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(1000)]


def test_output_of_any_shape_arrives(shared: RieServer, client: Any) -> None:
    source = """
        import os, sys
        def handler(event, context):
            print("Grüße, 世界")
            print("x" * 300_000)
            print("two" + chr(10) + "lines")
            os.write(1, bytes([0xff, 0xfe, 10]))
            sys.stdout.write("no newline at the end")
    """
    create(client, "shapes", source)
    answer = invoke(client, "shapes")
    lines = settled(shared, "shapes", answer.request_id)
    inner = lines[2:-2]
    assert inner[0] == "Grüße, 世界"
    long = [line for line in inner if line.startswith("x")]
    assert "".join(long) == "x" * 300_000
    assert inner[1 + len(long) :] == ["two", "lines", "\ufffd\ufffd", "no newline at the end"]


# --- failures ---


@pytest.mark.parametrize(
    ("name", "how", "status", "words"),
    [
        (
            "times-out",
            "time.sleep(60)",
            "Status: timeout",
            "{id} Task timed out after 1.00 seconds",
        ),
        (
            "exits",
            "os._exit(4)",
            "Status: error\tError Type: Runtime.ExitError",
            "RequestId: {id} Error: Runtime exited with error: exit status 4",
        ),
        ("raises", "raise KeyError('missing')", "", "[ERROR] KeyError: 'missing'"),
    ],
)
def test_a_failure_is_in_the_log_before_end_and_report(
    shared: RieServer, client: Any, name: str, how: str, status: str, words: str
) -> None:
    create(client, name, f"import os, time\ndef handler(event, context):\n    print('begun')\n    {how}\n", Timeout=1)
    answer = invoke(client, name, LogType="Tail")
    lines = settled(shared, name, answer.request_id)
    assert lines[1].startswith("START")
    assert lines[2] == "begun"
    assert any(words.format(id=answer.request_id) in line for line in lines[3:-2])
    assert END.fullmatch(lines[-2])
    assert report_of(lines[-1])["status"] == status
    assert answer.log.splitlines() == lines[1:]


def test_max_memory_used_is_measured(shared: RieServer, client: Any) -> None:
    source = """
        def handler(event, context):
            return len(b"x" * (event * 1024 * 1024))
    """
    create(client, "eats", source, MemorySize=512, Timeout=20)
    used = []
    for megabytes in (1, 100, 1):
        answer = invoke(client, "eats", megabytes)
        used.append(int(report_of(settled(shared, "eats", answer.request_id)[-1])["used"]))
    assert used[0] < 100 <= used[1] < 300
    assert used[2] >= used[1]


# --- many at once ---


def test_output_is_attributed_to_its_request_however_many_run(shared: RieServer, client: Any) -> None:
    source = """
        import sys, time
        def handler(event, context):
            for number in range(5):
                print(f"{event} {number}")
                print(f"{event} {number}", file=sys.stderr)
                time.sleep(0.002)
            sys.stdout.write(f"{event} last")
    """
    create(client, "crowd", source, Timeout=30)
    expected = [number for number in range(5) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        members = {"LogType": "Tail"}
        answers = list(pool.map(lambda n: invoke(client, "crowd", f"token-{n}", **members), range(160)))
    tokens = {answer.request_id: f"token-{number}" for number, answer in enumerate(answers)}
    for answer in answers:
        token = tokens[answer.request_id]
        lines = answer.log.splitlines()
        assert START.fullmatch(lines[0])[1] == answer.request_id
        assert lines[1:-2] == [*(f"{token} {number}" for number in expected), f"{token} last"]
        assert report_of(lines[-1])[1] == answer.request_id
    wait_until(lambda: sum("REPORT RequestId" in line for line in log_of(shared, "crowd")) == 160, what="all reports")
    streams = defaultdict(list)
    for line in log_of(shared, "crowd"):
        _, stream, text = LOG_LINE.fullmatch(line).groups()
        streams[stream].append(text)
    blocks = {}
    for lines in streams.values():
        starts = [at for at, line in enumerate(lines) if line.startswith("START")]
        # An environment that came up when all had been served has none.
        for start, after in zip(starts, [*starts[1:], len(lines)][: len(starts)], strict=True):
            blocks[START.fullmatch(lines[start])[1]] = lines[start:after]
    assert {request_id: "\n".join(lines) + "\n" for request_id, lines in blocks.items()} == {
        answer.request_id: answer.log for answer in answers
    }


# --- JSON ---


def test_a_function_that_asks_for_json_gets_awss_records_in_the_file_of_its_group(
    shared: RieServer, client: Any
) -> None:
    source = """
        import logging
        def handler(event, context):
            logging.getLogger().info("hidden")
            logging.getLogger().warning("two\\nlines")
    """
    settings = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": "/shop/all"}
    create(client, "as-json", source, LoggingConfig=settings)
    answer = invoke(client, "as-json", 1)
    path = shared.data_dir / "logs" / "us-east-1" / "groups" / "~shop~all.log"
    wait_until(lambda: path.exists() and "platform.report" in path.read_text(), what="the report")
    records = [json.loads(line.split(" ", 2)[2]) for line in path.read_text().splitlines()]
    assert [one.get("type", "output") for one in records] == [
        "platform.initStart",
        "platform.start",
        "output",
        "platform.report",
    ]
    assert (records[2]["message"], records[2]["requestId"]) == ("two\nlines", answer.request_id)

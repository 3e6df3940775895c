"""Nothing is lost and every partition keeps its order, whoever is killed. ``CRASH_MESSAGES=20000`` makes it harder."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.kafka_mappings import Notes, create_mapping, deploy, is_in_order, new_topic
from tests.integration.events.crashing import crash
from tests.servers.kafka import KafkaServer

MESSAGES = int(os.environ.get("CRASH_MESSAGES", "4000"))
PARTITIONS = 4
BATCH = 50
AT_A_TIME = MESSAGES // 40
CRASH_SECONDS = 90.0 + MESSAGES / 100
# Only what the test asks about: thousands of whole events take longer to read than to process.
NOTE_OFFSETS = """
        short = {lane: [{"offset": one["offset"]} for one in records] for lane, records in event["records"].items()}
        event = {"records": short}
"""


def deploy_short(client: Any, notes: Notes, *, seconds: float = 0.0) -> None:
    head, tail = notes.source.rsplit("        note(event)", 1)
    pause = f"        time.sleep({seconds})\n" if seconds else ""
    deploy(client, notes, f"{head}{NOTE_OFFSETS}{pause}        note(event){tail}")


def messages(numbers: range) -> list[dict[str, Any]]:
    return [{"value": b"%d" % number, "partition": number % PARTITIONS} for number in numbers]


class Producer:
    """Sends messages, a few at a time, until ``stop``; leaving waits for the last."""

    def __init__(self, kafka: KafkaServer, topic: str, *, at_a_time: int = 20, most: int | None = None) -> None:
        self._kafka = kafka
        self._topic = topic
        self._at_a_time = at_a_time
        self._most = most
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer")
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.1) and (self._most is None or self.sent < self._most):
            following = self.sent + self._at_a_time
            self._kafka.produce(self._topic, messages(range(self.sent, following)))
            self.sent = following


def test_a_broker_and_a_server_that_are_killed_cost_repetitions_alone(
    serve: Callable[..., RieServer], notes: Notes
) -> None:
    with KafkaServer() as kafka:
        server, topic = serve(), new_topic()
        client = server.client()
        kafka.create_topic(topic, PARTITIONS)
        deploy_short(client, notes, seconds=0.02)
        mapping = create_mapping(client, "notes", topic, kafka.plaintext, BatchSize=BATCH)

        def done() -> int:
            return sum(kafka.committed(mapping, topic, PARTITIONS))

        with Producer(kafka, topic, at_a_time=AT_A_TIME, most=MESSAGES) as producer:
            wait_until(lambda: notes.distinct() > MESSAGES // 10, seconds=CRASH_SECONDS, what="a tenth of the records")
            kafka.kill()
            # What has been done and not written when a broker goes is done again, and that may be all there was.
            repetitions = producer.sent + AT_A_TIME
            kafka.start()
            wait_until(lambda: done() > MESSAGES // 2, seconds=CRASH_SECONDS, what="half of the records")
            crash(server)
            repetitions += notes.distinct() - done() + PARTITIONS * BATCH
            server.restart()
            wait_until(lambda: notes.distinct() == MESSAGES, seconds=CRASH_SECONDS, what="all records")
        assert producer.sent == MESSAGES
        assert all(is_in_order(offsets) for offsets in notes.offsets().values())
        each = MESSAGES // PARTITIONS
        wait_until(lambda: kafka.committed(mapping, topic, PARTITIONS) == [each] * PARTITIONS, what="the offsets")
        assert sum(map(len, notes.offsets().values())) <= MESSAGES + repetitions


def test_two_servers_share_the_partitions_and_hand_them_over_when_one_is_killed(
    kafka: KafkaServer, serve: Callable[..., RieServer], notes: Notes, tmp_path: Any
) -> None:
    topic, group = new_topic(), {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": new_topic()}}
    kafka.create_topic(topic, PARTITIONS)
    servers = [serve(data_dir=tmp_path / name) for name in ("one", "two")]
    every = [Notes(tmp_path / f"notes-{number}") for number in range(2)]
    for server, own in zip(servers, every, strict=True):
        client = server.client()
        deploy_short(client, own)
        create_mapping(client, "notes", topic, kafka.plaintext, BatchSize=10, **group)

    with Producer(kafka, topic) as producer:
        wait_until(lambda: all(own.distinct() > 40 for own in every), seconds=40, what="both servers to work")
        crash(servers[0])
        lanes = {f"{topic}-{number}" for number in range(PARTITIONS)}
        before = every[1].offsets()

        def has_all() -> bool:
            now = every[1].offsets()
            return all(len(now.get(lane, ())) > len(before.get(lane, ())) for lane in lanes)

        wait_until(has_all, seconds=25, what="the second server to have all partitions")
    wait_until(lambda: len(_seen(every)) == producer.sent, seconds=30, what="every record")
    # Handed over once when the second server came and once when the first was killed, with at most what was in flight.
    assert all(count <= 3 for count in _seen(every).values())
    servers[0].restart()


def _seen(every: list[Notes]) -> Counter[tuple[str, int]]:
    return Counter((lane, offset) for own in every for lane, offsets in own.offsets().items() for offset in offsets)

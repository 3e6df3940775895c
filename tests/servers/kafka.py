"""A Kafka of the tests' own: Apache Kafka in KRaft mode, one broker in a private folder on free loopback ports.

``with KafkaServer() as kafka:`` starts it and ends it (``broker``). Its jars come from Maven Central, once, into
``~/.cache/rie-server-tests``; they are fetched only where ``RIE_REQUIRE`` names ``kafka``.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_ports, require
from tests.servers.broker import START_SECONDS, Broker
from tests.servers.certificates import Certificates

VERSION = "4.3.1"
USER, PASSWORD = "alice", "alice-secret"
HEAP = ("-Xms128m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_JAAS = "org.apache.kafka.common.security"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def _jars() -> Path:
    """The folder with Kafka's jars."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rie-server-tests"
    jars = cache / f"kafka-{VERSION}"
    if jars.is_dir():
        return jars
    if "kafka" not in os.environ.get("RIE_REQUIRE", ""):
        require("kafka", f"there is no {jars}; RIE_REQUIRE=kafka fetches it")
    if shutil.which("mvn") is None:
        require("kafka", "there is no mvn to fetch its jars with")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        (Path(folder) / "pom.xml").write_text(_POM)
        command = ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, "-DoutputDirectory=jars"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            require("kafka", f"its jars cannot be fetched: {done.stdout[-2000:]}")
        with contextlib.suppress(OSError):  # somebody else was first
            (Path(folder) / "jars").rename(jars)
    return jars


class KafkaServer(Broker):
    """
    Attributes:
        plaintext, sasl, ssl, sasl_ssl, mtls: the address of each listener. ``sasl`` and ``sasl_ssl`` know ``USER`` by
            PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; ``mtls`` asks for a certificate.
        certificates: of the server, of a client, and of who has signed them.
    """

    def __init__(self) -> None:
        if find_spec("confluent_kafka") is None:
            require("kafka", "confluent-kafka is not installed")
        if shutil.which("java") is None:
            require("kafka", "there is no java")
        self._jars = _jars()
        super().__init__("Kafka")
        self.certificates = Certificates(self._folder)
        self._ports: dict[str, int] = {}

    def _choose_ports(self) -> None:
        listeners = ("plain", "sasl", "ssl", "saslssl", "mtls", "controller")
        self._ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
        self.plaintext, self.sasl, self.ssl, self.sasl_ssl, self.mtls, _ = (
            f"127.0.0.1:{port}" for port in self._ports.values()
        )
        settings = self._folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        # The voters' ports are among what is stored.
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        self._format(settings)

    def _command(self) -> Sequence[str | Path]:
        return [*self._java(), "kafka.Kafka", self._folder / "server.properties"]

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

        admin = AdminClient({"bootstrap.servers": self.plaintext, "reconnect.backoff.max.ms": 100, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def create_topic(self, name: str, partitions: int = 1) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 - an extra

        admin = AdminClient({"bootstrap.servers": self.plaintext})
        admin.create_topics([NewTopic(name, num_partitions=partitions)])[name].result(30)

    def delete_topic(self, name: str) -> None:
        """Returns once the broker does not know it any more."""
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

        admin = AdminClient({"bootstrap.servers": self.plaintext})
        admin.delete_topics([name])[name].result(30)
        deadline = time.monotonic() + START_SECONDS
        while name in admin.list_topics(timeout=5).topics:
            assert time.monotonic() < deadline, f"{name} is still there"
            time.sleep(0.05)

    def produce(self, topic: str, messages: Iterable[Mapping[str, Any]]) -> None:
        """Each message is what ``Producer.produce`` takes: value, key, partition, headers, timestamp."""
        from confluent_kafka import Producer  # noqa: PLC0415 - an extra

        refused: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                refused.append(error)

        # In order also where a request is repeated.
        producer = Producer({"bootstrap.servers": self.plaintext, "linger.ms": 5, "enable.idempotence": True})
        for message in messages:
            while True:
                try:
                    producer.produce(topic, on_delivery=delivered, **message)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0, "not every message was taken"
        assert not refused, refused

    def committed(self, group: str, topic: str, partitions: int = 1) -> list[int]:
        """The group's offset of each partition; negative where it has none."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: PLC0415 - an extra

        consumer = Consumer({"bootstrap.servers": self.plaintext, "group.id": group})
        every = [TopicPartition(topic, number) for number in range(partitions)]
        deadline = time.monotonic() + START_SECONDS
        try:
            while True:
                try:
                    return [one.offset for one in consumer.committed(every, timeout=5)]
                except KafkaException:  # a broker that has just come back is no coordinator yet
                    if time.monotonic() > deadline:
                        raise
        finally:
            consumer.close()

    def values(self, topic: str, count: int, *, seconds: float = 20.0) -> list[bytes | None]:
        """The first ``count`` values of a topic, or those that there are after ``seconds``."""
        from confluent_kafka import Consumer  # noqa: PLC0415 - an extra

        consumer = Consumer(
            {"bootstrap.servers": self.plaintext, "group.id": f"reader-{topic}", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        found: list[bytes | None] = []
        deadline = time.monotonic() + seconds
        try:
            while len(found) < count and time.monotonic() < deadline:
                found += [one.value() for one in consumer.consume(count, 0.2) if one.error() is None]
        finally:
            consumer.close()
        return found

    def _java(self) -> Sequence[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        return ("java", *HEAP, quiet, "-cp", f"{self._jars}/*")

    def _format(self, settings: Path) -> None:
        scram = [f"{kind}=[name={USER},password={PASSWORD}]" for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        command = [*self._java(), "kafka.tools.StorageTool", "format", "--standalone", "-t", "4L6g3nShT-eMCtK--X86sw"]
        for one in scram:
            command += ["--add-scram", one]
        done = subprocess.run(
            [*command, "-c", str(settings)], cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.fail(f"Kafka's storage cannot be formatted: {done.stdout}{done.stderr}")

    def _settings(self) -> dict[str, str]:
        ports, folder = self._ports, self._folder
        own = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports['controller']}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in ports.items()),
            "advertised.listeners": ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in ports.items()),
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,"
            "SSL:SSL,SASLSSL:SASL_SSL,MTLS:SSL",
            "log.dirs": str(folder / "data"),
            "num.network.threads": "2",
            "num.io.threads": "4",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "auto.create.topics.enable": "false",
            # A broker that was killed may come back soon.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server_store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
            "listener.name.mtls.ssl.client.auth": "required",
        }
        for listener in ("sasl", "saslssl"):
            own[f"listener.name.{listener}.plain.sasl.jaas.config"] = (
                f'{_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            )
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                own[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = (
                    f"{_JAAS}.scram.ScramLoginModule required;"
                )
        return own

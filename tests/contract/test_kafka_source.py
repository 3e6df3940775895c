"""How a Kafka cluster is entered: every way of AWS's that this server knows, on a real broker."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.sources.kafka_access import KafkaAccess
from tests.contract.kafka_secrets import TOPIC, Secrets, mapping
from tests.servers.certificates import KEY_PASSWORD
from tests.servers.kafka import PASSWORD, USER, KafkaServer


class Watcher:
    """Remembers which lanes are this server's."""

    def __init__(self) -> None:
        self.lanes: dict[str, int] = {}

    def assigned(self, lanes: Mapping[str, int]) -> None:
        self.lanes.update(lanes)

    def revoked(self, lanes: Sequence[str]) -> Mapping[str, int]:
        return {lane: self.lanes.pop(lane) for lane in lanes}

    def lost(self, lanes: Sequence[str]) -> None:
        for lane in lanes:
            self.lanes.pop(lane, None)


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        server.create_topic(TOPIC)
        server.produce(TOPIC, [{"value": b"1"}])
        yield server


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def read_one(secrets: Secrets, wanted: EventSourceMapping) -> SourceRecord:
    """The first record of the topic; raises SourceError where the cluster cannot be entered."""
    from rie_server.sources.kafka import KafkaSource  # noqa: PLC0415 - an extra

    access = KafkaAccess(secrets, {})
    source = KafkaSource(wanted, lambda: access.enter(wanted))
    try:
        source.open(Watcher())
        for _ in range(200):
            records = source.read(10, 0.1)
            if records:
                return records[0]
        pytest.fail("nothing was read")
    finally:
        source.close()


@pytest.mark.parametrize("kind", ["BASIC_AUTH", "SASL_SCRAM_256_AUTH", "SASL_SCRAM_512_AUTH"])
@pytest.mark.parametrize("listener", ["sasl", "sasl_ssl"])
def test_a_password_opens_the_cluster(kafka: KafkaServer, secrets: Secrets, kind: str, listener: str) -> None:
    access = {kind: secrets.put("user", username=USER, password=PASSWORD)}
    if listener == "sasl_ssl":
        access["SERVER_ROOT_CA_CERTIFICATE"] = secrets.put("ca", certificate=kafka.certificates.authority_pem)
    assert read_one(secrets, mapping(getattr(kafka, listener), access)).identifier == "0"


@pytest.mark.parametrize("kind", ["BASIC_AUTH", "SASL_SCRAM_256_AUTH", "SASL_SCRAM_512_AUTH"])
def test_a_wrong_password_does_not(kafka: KafkaServer, secrets: Secrets, kind: str) -> None:
    access = {kind: secrets.put("user", username=USER, password="wrong")}
    with pytest.raises(SourceError, match="SASL authentication failed"):
        read_one(secrets, mapping(kafka.sasl, access))


def test_a_secret_without_a_password_says_so(kafka: KafkaServer, secrets: Secrets) -> None:
    access = {"BASIC_AUTH": secrets.put("user", username=USER)}
    with pytest.raises(SourceError, match="not a JSON object with username and password"):
        read_one(secrets, mapping(kafka.sasl, access))


def test_a_client_certificate_opens_the_cluster(kafka: KafkaServer, secrets: Secrets) -> None:
    own = kafka.certificates
    access = {
        "CLIENT_CERTIFICATE_TLS_AUTH": secrets.put(
            "client", certificate=own.client_pem, privateKey=own.client_key_pem, privateKeyPassword=KEY_PASSWORD
        ),
        "SERVER_ROOT_CA_CERTIFICATE": secrets.put("ca", certificate=own.authority_pem),
    }
    assert read_one(secrets, mapping(kafka.mtls, access)).identifier == "0"


def test_a_client_certificate_that_is_none_says_so(kafka: KafkaServer, secrets: Secrets) -> None:
    access = {"CLIENT_CERTIFICATE_TLS_AUTH": secrets.put("client", certificate="none", privateKey="none")}
    with pytest.raises(SourceError, match="Provided certificate or private key is invalid"):
        read_one(secrets, mapping(kafka.mtls, access))


def test_a_cluster_that_wants_a_certificate_refuses_who_has_none(kafka: KafkaServer, secrets: Secrets) -> None:
    access = {"SERVER_ROOT_CA_CERTIFICATE": secrets.put("ca", certificate=kafka.certificates.authority_pem)}
    with pytest.raises(SourceError, match="Server failed to authenticate Lambda"):
        read_one(secrets, mapping(kafka.mtls, access))


def test_a_server_that_nobody_vouches_for_is_not_trusted(kafka: KafkaServer, secrets: Secrets) -> None:
    with pytest.raises(SourceError, match="Lambda failed to authenticate server"):
        read_one(secrets, mapping(kafka.ssl, {}))


def test_an_msk_cluster_is_asked_for_the_listener_that_fits(kafka: KafkaServer, secrets: Secrets) -> None:
    secrets.brokers = {
        "BootstrapBrokerString": kafka.plaintext,
        "BootstrapBrokerStringSaslScram": f"{kafka.sasl}, {kafka.sasl}",
    }
    assert read_one(secrets, mapping(None, {})).identifier == "0"
    access = {"SASL_SCRAM_512_AUTH": secrets.put("user", username=USER, password=PASSWORD)}
    wanted = mapping(None, access)
    assert KafkaAccess(secrets, {}).enter(wanted).bootstrap_servers == (kafka.sasl, kafka.sasl)
    assert read_one(secrets, wanted).identifier == "0"


def test_a_password_never_goes_to_a_public_address_in_the_clear(
    kafka: KafkaServer, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = [(2, 1, 6, "", ("8.8.8.8", 9092))]
    wanted = mapping(kafka.sasl, {"BASIC_AUTH": secrets.put("user", username=USER, password=PASSWORD)})
    assert KafkaAccess(secrets, {}).enter(wanted).security["security.protocol"] == "sasl_plaintext"
    monkeypatch.setattr("rie_server.sources.kafka_access.answers_tls", lambda _: False)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: public)
    assert KafkaAccess(secrets, {}).enter(wanted).security["security.protocol"] == "sasl_ssl"


def test_a_way_in_that_this_server_does_not_know_is_named(secrets: Secrets) -> None:
    with pytest.raises(SourceError, match="IAM_AUTH is not supported"):
        read_one(secrets, mapping("127.0.0.1:9", {"IAM_AUTH": ""}))


def test_share_groups_are_refused_in_words(secrets: Secrets) -> None:
    queue = {"SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}}
    with pytest.raises(SourceError, match="ConsumptionMode Queue is not supported"):
        read_one(secrets, mapping("127.0.0.1:9", {}, **queue))

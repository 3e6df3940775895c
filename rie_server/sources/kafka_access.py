"""How a Kafka cluster is found and entered: bootstrap servers and librdkafka's security settings of a mapping.

Thread-safe and without memory: asked again at each connection, so a password that was changed counts from then on.

Lambda speaks TLS with every cluster that asks for authentication. A broker on a developer's machine often does not, so
the broker is asked: who answers to a TLS handshake gets TLS. In the clear, passwords go to private addresses alone, so
nobody on the way can talk this server out of TLS.
"""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.sources.access import CONFIGURATION, Clients, access_uri, call
from rie_server.sources.secrets import read_secret

PROBE_SECONDS = 3.0
_SASL = {
    "BASIC_AUTH": "PLAIN",
    "SASL_SCRAM_256_AUTH": "SCRAM-SHA-256",
    "SASL_SCRAM_512_AUTH": "SCRAM-SHA-512",
}
_UNSUPPORTED = ("IAM_AUTH", "IAM_OAUTHBEARER_AUTH", "OAUTHBEARER_AUTH")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """
    Attributes:
        bootstrap_servers: ``host:port``, as the event names them.
        security: settings of librdkafka; passwords are among them.
    """

    bootstrap_servers: tuple[str, ...]
    security: Mapping[str, Any] = field(repr=False)


class KafkaAccess:
    """
    Args:
        bootstrap_servers: what the user has set, ``host:port`` by cluster ARN; it wins over kafka:GetBootstrapBrokers.
    """

    def __init__(self, clients: Clients, bootstrap_servers: Mapping[str, Sequence[str]]) -> None:
        self._clients = clients
        self._bootstrap_servers = bootstrap_servers

    def enter(self, mapping: EventSourceMapping) -> KafkaCluster:
        """
        Raises:
            SourceError: no such cluster or secret, no access, no broker answers.
        """
        for kind in _UNSUPPORTED:
            if access_uri(mapping, kind) is not None:
                raise SourceError(f"{CONFIGURATION} {kind} is not supported by this server.", passes=False)
        if (mapping.members.get("SelfManagedKafkaEventSourceConfig") or {}).get("ConsumptionMode") == "Queue":
            raise SourceError(f"{CONFIGURATION} ConsumptionMode Queue is not supported by this server.", passes=False)
        servers = self.locate(mapping)
        security = {**self._certificates(mapping), **self._sasl(mapping)}
        speaks_tls = answers_tls(servers)
        if "sasl.password" in security and not speaks_tls and not all(_is_private(server) for server in servers):
            speaks_tls = True
        has_password = "sasl.mechanism" in security
        security["security.protocol"] = ("sasl_" if has_password else "") + ("ssl" if speaks_tls else "plaintext")
        return KafkaCluster(bootstrap_servers=servers, security=security)

    def locate(self, mapping: EventSourceMapping) -> tuple[str, ...]:
        """The bootstrap servers of the mapping's cluster."""
        arn = mapping.source_arn
        if arn is None:
            endpoints = mapping.members.get("SelfManagedEventSource", {}).get("Endpoints", {})
            return tuple(endpoints.get("KAFKA_BOOTSTRAP_SERVERS", ()))
        if arn in self._bootstrap_servers:
            return tuple(self._bootstrap_servers[arn])
        region = arn.split(":")[3]

        def get() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = self._clients.client("kafka", region).get_bootstrap_brokers(ClusterArn=arn)
            return answer

        found = call("GetBootstrapBrokers", "Kafka", get)
        for name in _listeners(mapping):
            if found.get(name):
                return tuple(part.strip() for part in found[name].split(","))
        raise SourceError(f"{CONFIGURATION} The cluster {arn} has no brokers for this authentication.", passes=False)

    def _sasl(self, mapping: EventSourceMapping) -> dict[str, str]:
        for kind, mechanism in _SASL.items():
            arn = access_uri(mapping, kind)
            if arn is not None:
                secret = read_secret(self._clients, mapping, arn, "username", "password")
                return {
                    "sasl.mechanism": mechanism,
                    "sasl.username": secret["username"],
                    "sasl.password": secret["password"],
                }
        return {}

    def _certificates(self, mapping: EventSourceMapping) -> dict[str, str]:
        found = {}
        arn = access_uri(mapping, "SERVER_ROOT_CA_CERTIFICATE")
        if arn is not None:
            found["ssl.ca.pem"] = read_secret(self._clients, mapping, arn, "certificate")["certificate"]
        arn = access_uri(mapping, "CLIENT_CERTIFICATE_TLS_AUTH")
        if arn is not None:
            secret = read_secret(self._clients, mapping, arn, "certificate", "privateKey")
            found["ssl.certificate.pem"] = secret["certificate"]
            found["ssl.key.pem"] = secret["privateKey"]
            if secret.get("privateKeyPassword"):
                found["ssl.key.password"] = secret["privateKeyPassword"]
        return found


def _listeners(mapping: EventSourceMapping) -> tuple[str, ...]:
    """Members of GetBootstrapBrokers' answer, best first."""
    if access_uri(mapping, "SASL_SCRAM_512_AUTH") is not None:
        return ("BootstrapBrokerStringSaslScram", "BootstrapBrokerStringPublicSaslScram")
    tls = ("BootstrapBrokerStringTls", "BootstrapBrokerStringPublicTls")
    if access_uri(mapping, "CLIENT_CERTIFICATE_TLS_AUTH") is not None:
        return tls
    return ("BootstrapBrokerString", *tls)


def answers_tls(servers: Sequence[str]) -> bool:
    """Whether the first of ``servers`` that can be reached begins a TLS handshake.

    Raises:
        SourceError: none can be reached.
    """
    told = "There are no bootstrap servers."
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS)
        except (OSError, ValueError) as trouble:
            told = f"{server}: {trouble}"
            continue
        with connection:
            return _begins_tls(connection, host)
    raise SourceError(f"Connection error. Please check your event source connection configuration. {told}")


def _begins_tls(connection: socket.socket, host: str) -> bool:
    """Only asks whether: the broker's certificate is checked by the client that is used afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = context.wrap_bio(incoming, outgoing, server_hostname=host.strip("[]") or None)
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    try:
        connection.sendall(outgoing.read())
        # A handshake record (0x16) or an alert (0x15): TLS. Kafka's own protocol closes the connection.
        return connection.recv(1) in (b"\x16", b"\x15")
    except OSError:
        return False


def _is_private(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return all(ipaddress.ip_address(str(one[4][0]).split("%")[0]).is_private for one in found)

"""How a broker or a cluster is found and entered: its ARN becomes an address, ``BASIC_AUTH`` a user and a password.

Thread-safe and without memory: asked again at each connection, so a password that was changed counts from then on.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rie_server.errors import SourceError
from rie_server.model.broker_address import BasicAuth, BrokerAddress, parse_broker_url
from rie_server.model.event_source import EventSourceMapping

AUTHENTICATION = "EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source."
AUTHORIZATION = "EVENT_SOURCE_AUTHZ_ERROR: Lambda does not have the required permissions to access the event source."
CONFIGURATION = "ESM_CONFIG_NOT_VALID: The event source mapping configuration is not valid."
"""The codes and the words of the Developer Guide; what the source itself has said stands behind them."""

_SCHEMES = {"RABBITMQ": ("amqps", "amqp"), "ACTIVEMQ": ("stomp+ssl", "stomp")}


class Clients(Protocol):
    def client(self, service: str, region: str) -> Any:
        """A client of botocore's."""


class BrokerAccess:
    """
    Args:
        addresses: what the user has set, URL by ARN; it wins over what mq:DescribeBroker says.
    """

    def __init__(self, clients: Clients, addresses: Mapping[str, str]) -> None:
        self._clients = clients
        self._addresses = addresses

    def locate(self, mapping: EventSourceMapping) -> BrokerAddress:
        """Where the broker listens.

        Raises:
            SourceError: no such broker, no access, or none of its endpoints speaks AMQP or STOMP.
        """
        arn = mapping.source_arn or ""
        if arn in self._addresses:
            return _parsed(self._addresses[arn])
        region, broker_id = arn.split(":")[3], arn.rsplit(":", 1)[-1]
        found = call("DescribeBroker", "AmazonMQ", lambda: self._describe(region, broker_id))
        wanted = _SCHEMES.get(str(found.get("EngineType", "")).upper(), ())
        endpoints = [url for one in found.get("BrokerInstances", []) for url in one.get("Endpoints", [])]
        for scheme in wanted:
            for url in endpoints:
                if url.startswith(f"{scheme}://"):
                    return _parsed(url)
        raise SourceError(f"{CONFIGURATION} The broker {arn} has no endpoint for AMQP 0-9-1 or STOMP.", passes=False)

    def enter(self, mapping: EventSourceMapping) -> BrokerAddress:
        """Where the broker listens, with the user to be there."""
        address = self.locate(mapping)
        return address if address.auth is not None else address.with_auth(basic_auth(self._clients, mapping))

    def _describe(self, region: str, broker_id: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._clients.client("mq", region).describe_broker(BrokerId=broker_id)
        return answer


def _parsed(url: str) -> BrokerAddress:
    try:
        return parse_broker_url(url)
    except ValueError as wrong:
        raise SourceError(f"{CONFIGURATION} The broker's address is not {wrong}.", passes=False) from None


def basic_auth(clients: Clients, mapping: EventSourceMapping) -> BasicAuth:
    """The user and the password in the mapping's ``BASIC_AUTH`` secret.

    Raises:
        SourceError: no such secret, no access, or it is not ``{"username": ..., "password": ...}``.
    """
    secret_arn = access_uri(mapping, "BASIC_AUTH")
    if secret_arn is None:
        raise SourceError(f"{CONFIGURATION} SourceAccessConfigurations have no BASIC_AUTH.", passes=False)
    parts = secret_arn.split(":")
    region = parts[3] if len(parts) > 3 else mapping.function.region

    def get() -> Mapping[str, Any]:
        answer: Mapping[str, Any] = clients.client("secretsmanager", region).get_secret_value(SecretId=secret_arn)
        return answer

    found = call("GetSecretValue", "SecretsManager", get)
    try:
        secret = json.loads(found["SecretString"])
        return BasicAuth(username=str(secret["username"]), password=str(secret["password"]))
    except (KeyError, TypeError, ValueError):
        raise SourceError(
            f"{AUTHENTICATION} The secret {secret_arn} is not a JSON object with username and password.", passes=False
        ) from None


def access_uri(mapping: EventSourceMapping, kind: str) -> str | None:
    """The URI of one of the mapping's ``SourceAccessConfigurations``."""
    for one in mapping.members.get("SourceAccessConfigurations") or ():
        if one.get("Type") == kind:
            return str(one["URI"])
    return None


def call(operation: str, service: str, ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What AWS answers.

    Raises:
        SourceError: in the words in which Lambda passes on what another service says.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the first client

    try:
        return ask()
    except ClientError as refusal:
        error = refusal.response.get("Error", {})
        code = error.get("Code", "Unknown")
        told = f"{service} Error Code: {code}. {service} Error Message: {error.get('Message', '')}"
        passes = int(refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500
        raise SourceError(f"Error occurred while {operation}. {told}", passes=passes) from refusal
    except BotoCoreError as trouble:
        raise SourceError(f"Error occurred while {operation}. {trouble}") from trouble

"""Where a message broker or a database cluster listens, and who to be there. Pure data."""

from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671, "stomp": 61613, "stomp+ssl": 61614}


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """The secret behind ``BASIC_AUTH``."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """
    Attributes:
        scheme: ``amqp``, ``amqps`` (RabbitMQ), ``stomp`` or ``stomp+ssl`` (ActiveMQ).
        auth: None where nobody has said yet who to be.
    """

    scheme: str
    host: str
    port: int
    auth: BasicAuth | None = None

    @property
    def is_rabbitmq(self) -> bool:
        return self.scheme.startswith("amqp")

    @property
    def uses_tls(self) -> bool:
        return self.scheme in ("amqps", "stomp+ssl")

    def with_auth(self, auth: BasicAuth) -> "BrokerAddress":
        return replace(self, auth=auth)


def parse_broker_url(url: str) -> BrokerAddress:
    """``amqp://host:port``; a user and a password in it stand in for the secret.

    Raises:
        ValueError: in words: what such an address looks like.
    """
    wanted = "an address such as amqp://host:5672 or stomp+ssl://host:61614"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(wanted)
    auth = None
    if parts.username is not None:
        auth = BasicAuth(username=unquote(parts.username), password=unquote(parts.password or ""))
    return BrokerAddress(scheme=parts.scheme, host=parts.hostname, port=port or DEFAULT_PORTS[parts.scheme], auth=auth)

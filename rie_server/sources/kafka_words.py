"""What LastProcessingResult says of a Kafka cluster: AWS's words, and behind them what librdkafka has said. Pure."""

from confluent_kafka import KafkaError

from rie_server.errors import SourceError

AUTHORIZATION = "Cluster failed to authorize Lambda"
SASL = "SASL authentication failed"
SERVER_TLS = "Lambda failed to authenticate server"
CLIENT_TLS = "Server failed to authenticate Lambda"
CERTIFICATE = "Provided certificate or private key is invalid"
CONNECTION = "Connection error. Please check your event source connection configuration."
TOPIC = "Topic does not exist"

_UNAUTHORIZED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_UNAUTHENTICATED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001
_UNKNOWN = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own codes have this name
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_UNREACHABLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
    }
)
_TLS_ALERT = "SSL alert number"


def is_passing(error: KafkaError) -> bool:
    """Whether the client gets over it by itself and goes on where it was."""
    return (error.code() in _UNREACHABLE and _TLS_ALERT not in error.str()) or error.retriable()


def source_error(error: KafkaError) -> SourceError:
    code, told = error.code(), error.str()
    if code in _UNAUTHENTICATED:
        return SourceError(f"{SASL}. {told}", passes=False)
    if code in _UNAUTHORIZED:
        return SourceError(f"{AUTHORIZATION}. {told}", passes=False)
    # With TLS 1.3 a server refuses a client's certificate when the connection stands already.
    if code == KafkaError._SSL or _TLS_ALERT in told:  # noqa: SLF001
        is_ours = "verify failed" in told or "broker certificate" in told
        return SourceError(f"{SERVER_TLS if is_ours else CLIENT_TLS}. {told}", passes=False)
    if code in _UNKNOWN:
        return SourceError(f"{TOPIC}. {told}")
    return SourceError(f"{CONNECTION} {told}")


def configuration_error(told: str) -> SourceError:
    """For settings of which no client can be made."""
    words = CERTIFICATE if "ssl." in told else CONNECTION
    return SourceError(f"{words}. {told}" if words == CERTIFICATE else f"{words} {told}", passes=False)

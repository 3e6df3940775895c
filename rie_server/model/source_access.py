"""``SourceAccessConfigurations``: what a broker or cluster may be reached with, by the kind of source.

Pure. Whether a secret exists and holds what it should is found out by whoever connects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.event_source import SourceKind
from rie_server.model.event_source_members import missing

_NETWORK: Final = frozenset({"VPC_SUBNET", "VPC_SECURITY_GROUP"})
_TOKEN_DETAILS: Final = frozenset(
    {"OAUTHBEARER_SCOPE", "OAUTHBEARER_AUDIENCE", "OAUTHBEARER_LOGICAL_CLUSTER", "OAUTHBEARER_IDENTITY_POOL"}
)
_TOKENS: Final = frozenset({"OAUTHBEARER_AUTH", "IAM_OAUTHBEARER_AUTH"})
_WITHOUT_URI: Final = frozenset({"IAM_AUTH", "IAM_OAUTHBEARER_AUTH"})
# Who asks: a cluster takes one of them.
_AUTHENTICATION: Final = (
    frozenset({"BASIC_AUTH", "SASL_SCRAM_256_AUTH", "SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH", "IAM_AUTH"})
    | _TOKENS
)
_ALLOWED: Final[Mapping[SourceKind, frozenset[str]]] = {
    SourceKind.MSK: frozenset({"SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH"}),
    SourceKind.SELF_MANAGED_KAFKA: _AUTHENTICATION | _TOKEN_DETAILS | _NETWORK | {"SERVER_ROOT_CA_CERTIFICATE"},
    SourceKind.MQ: frozenset({"BASIC_AUTH", "VIRTUAL_HOST"}),
    SourceKind.DOCUMENTDB: frozenset({"BASIC_AUTH"}),
}
_NAMED_USER_ONLY: Final = frozenset({SourceKind.MQ, SourceKind.DOCUMENTDB})


def check_source_access(
    kind: SourceKind, wanted: Sequence[Mapping[str, Any]], *, current: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Whether a source of ``kind`` may be reached with ``wanted``.

    Args:
        current: what it was reached with before an update; None at creation.

    Raises:
        InvalidParameterValueException: in AWS's words, where they are known.
    """
    types = [one.get("Type") for one in wanted]
    for one, name in zip(wanted, types, strict=True):
        if name is None:
            raise missing("sourceAccessConfigurations.type")
        if name not in _ALLOWED[kind]:
            raise _refused(f"type {name} is not supported for given event source mapping type.")
        if "URI" not in one and name not in _WITHOUT_URI:
            raise missing("sourceAccessConfigurations.uri")
        if "URI" in one and name in _WITHOUT_URI:
            raise _refused(f"type {name} does not support a URI.")
    for name in {*types} - {"VPC_SUBNET", "VPC_SECURITY_GROUP"}:
        if types.count(name) > 1:
            raise _refused(f"type {name} is specified more than once.")
    if kind in _NAMED_USER_ONLY and "BASIC_AUTH" not in types:
        raise _refused("type BASIC_AUTH is required for given event source mapping type.")
    if sum(name in _AUTHENTICATION for name in types) > 1:
        raise _refused("only one authentication type can be specified.")
    _check_companions(set(types))
    if current is not None and _virtual_host(current) != _virtual_host(wanted):
        raise _refused("type VIRTUAL_HOST cannot be updated.")


def _check_companions(types: set[Any]) -> None:
    if 0 < len(types & _NETWORK) < len(_NETWORK):
        raise _refused("types VPC_SUBNET and VPC_SECURITY_GROUP must be specified together.")
    details = sorted(types & _TOKEN_DETAILS)
    if details and not types & _TOKENS:
        raise _refused(f"type {details[0]} requires OAUTHBEARER_AUTH or IAM_OAUTHBEARER_AUTH.")
    if "IAM_OAUTHBEARER_AUTH" in types and "OAUTHBEARER_AUDIENCE" not in types:
        raise _refused("type IAM_OAUTHBEARER_AUTH requires OAUTHBEARER_AUDIENCE.")


def _virtual_host(configurations: Sequence[Mapping[str, Any]]) -> str | None:
    return next((one.get("URI") for one in configurations if one.get("Type") == "VIRTUAL_HOST"), None)


def _refused(reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Invalid 'sourceAccessConfigurations' parameter: {reason}")

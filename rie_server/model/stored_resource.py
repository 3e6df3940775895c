"""Resources of the Lambda API that are kept and shown, and change nothing that runs here: code signing configurations
and capacity providers.

Pure data, with its ways to the store's document and back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

CODE_SIGNING_CONFIG: Final = "code-signing-config"
CAPACITY_PROVIDER: Final = "capacity-provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceArn:
    """
    Attributes:
        kind: as in the ARN, for example ``code-signing-config``.
    """

    region: str
    account: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResource:
    """
    Attributes:
        members: with the API's own names, defaults filled in.
        last_modified: ``2026-01-01T00:00:00.000+0000``.
    """

    arn: ResourceArn
    members: Mapping[str, Any]
    tags: Mapping[str, str]
    last_modified: str


def resource_arn(text: str, kind: str, *, region: str, account: str) -> ResourceArn:
    """The resource that an ARN, or the name of one of the caller's own, means.

    Args:
        text: valid by the service model's patterns.
    """
    parts = text.split(":")
    if len(parts) < 7:
        return ResourceArn(region=region, account=account, kind=kind, name=text)
    return ResourceArn(region=parts[3], account=parts[4], kind=parts[5], name=parts[6])


def resource_document(resource: StoredResource) -> dict[str, Any]:
    """What the store keeps."""
    return asdict(resource)


def resource_from_document(document: Mapping[str, Any]) -> StoredResource:
    """The resource that ``resource_document`` wrote."""
    return StoredResource(**{**document, "arn": ResourceArn(**document["arn"])})

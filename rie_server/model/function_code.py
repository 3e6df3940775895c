"""Where a function's code is to come from, out of the members of CreateFunction and UpdateFunctionCode.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.errors import InvalidParameterValueException, NotImplementedException, RequestEntityTooLargeException
from rie_server.limits import ZIP_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    """A zip in the code store. ``sha256`` is base64, as ``CodeSha256``; sizes in bytes."""

    sha256: str
    size_bytes: int
    unzipped_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedZip:
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A zip in S3."""

    bucket: str
    key: str
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage:
    uri: str


CodeSource = UploadedZip | StoredObject | ContainerImage


def code_source(package_type: str, members: Mapping[str, Any], *, creating: bool) -> CodeSource:
    """The one source that ``members`` (of FunctionCode, or of UpdateFunctionCode) name.

    Raises:
        InvalidParameterValueException: none, too many, or one of the wrong package type.
        RequestEntityTooLargeException: an uploaded zip above 50 MB.
        NotImplementedException: a way to keep code that this server does not offer.
    """
    verb = "creating" if creating else "updating"
    uri = members.get("ImageUri")
    refuse_publish_to(members)
    if members.get("S3ObjectStorageMode", "COPY") != "COPY":
        raise NotImplementedException("S3ObjectStorageMode REFERENCE is not implemented by this server.")
    if package_type == "Image":
        if not uri:
            raise InvalidParameterValueException(
                f"Please provide ImageUri when {verb} a function with packageType Image."
            )
        return ContainerImage(uri=uri)
    if uri:
        raise InvalidParameterValueException(
            f"Please don't provide ImageUri when {verb} a function with packageType Zip."
        )
    return _zip_source(members)


def refuse_publish_to(members: Mapping[str, Any]) -> None:
    """Refuses to publish for a capacity provider, which is all that ``PublishTo`` is for."""
    if members.get("PublishTo"):
        raise NotImplementedException("PublishTo is not implemented by this server: there are no capacity providers.")


def _zip_source(members: Mapping[str, Any]) -> CodeSource:
    content = members.get("ZipFile")
    bucket, key = members.get("S3Bucket"), members.get("S3Key")
    if content is not None:
        if bucket or key or members.get("S3ObjectVersion"):
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        if len(content) > ZIP_BYTES:
            raise RequestEntityTooLargeException(f"Zipped size must be smaller than {ZIP_BYTES} bytes")
        return UploadedZip(content=content)
    if not (bucket and key):
        raise InvalidParameterValueException("Please provide a source for function code.")
    return StoredObject(bucket=bucket, key=key, version=members.get("S3ObjectVersion"))

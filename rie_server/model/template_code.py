"""Where a template says that a function's code lies: a folder or zip, text in the template, an image or S3.

Pure: paths are worked out, nothing is opened.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rie_server.model.cloudformation import Document, TemplateValueError

# The bucket that Serverless Framework makes for a stack: what `serverless package` would put there lies, under the last
# part of its key, beside the template.
_SERVERLESS_BUCKET = "ServerlessDeploymentBucket"
_S3_ADDRESS = re.compile(r"s3://([^/]+)/(.+)")


class PropertyError(TemplateValueError):
    """What is wrong with one property of a function."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.property_name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCode:
    """A folder to be zipped, or a zip file."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineCode:
    """The source itself; AWS calls its file ``index``."""

    file_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCode:
    """``Code`` of CreateFunction as it is: ImageUri, or S3Bucket and S3Key."""

    members: Mapping[str, str]

    @property
    def image_uri(self) -> str | None:
        return self.members.get("ImageUri")


TemplateCode = LocalCode | InlineCode | RemoteCode


def serverless_code(logical_id: str, properties: Document, metadata: Any, folder: Path) -> TemplateCode:
    """Code of an AWS::Serverless::Function.

    Raises:
        PropertyError: no code, or a CodeUri of no known shape.
    """
    if properties.get("ImageUri"):
        return RemoteCode(members={"ImageUri": str(properties["ImageUri"])})
    if properties.get("PackageType") == "Image":
        # The name that `sam build` gives to the image it makes from Metadata.
        tag = metadata.get("DockerTag", "latest") if isinstance(metadata, dict) else "latest"
        return RemoteCode(members={"ImageUri": f"{logical_id.lower()}:{tag}"})
    if "InlineCode" in properties:
        return _inline("InlineCode", properties["InlineCode"], properties)
    return _code_uri("CodeUri", properties.get("CodeUri", "."), folder)


def lambda_code(properties: Document, metadata: Any, folder: Path) -> TemplateCode:
    """Code of an AWS::Lambda::Function; a path instead of a mapping is what ``aws cloudformation package`` accepts, and
    ``cdk synth`` names the local copy of what it would upload in the metadata.

    Raises:
        PropertyError: no code, or code of no known shape.
    """
    code = properties.get("Code")
    if isinstance(metadata, dict) and metadata.get("aws:asset:property") == "Code" and metadata.get("aws:asset:path"):
        return LocalCode(path=folder / str(metadata["aws:asset:path"]))
    if isinstance(code, str) and code:
        return _code_uri("Code", code, folder)
    if not isinstance(code, dict):
        raise PropertyError("Code", "is required")
    if code.get("ImageUri"):
        return RemoteCode(members={"ImageUri": str(code["ImageUri"])})
    if "ZipFile" in code:
        return _inline("Code.ZipFile", code["ZipFile"], properties)
    if code.get("S3Bucket") and code.get("S3Key"):
        return _in_bucket(code, folder)
    raise PropertyError("Code", "needs ZipFile, ImageUri, or S3Bucket and S3Key")


def layer_content(properties: Document, metadata: Any, folder: Path) -> LocalCode | RemoteCode:
    """Content of a layer, of SAM's type or CloudFormation's; ``cdk synth`` names the local copy in the metadata.

    Raises:
        PropertyError: no content, or content of no known shape.
    """
    if (
        isinstance(metadata, dict)
        and metadata.get("aws:asset:property") == "Content"
        and metadata.get("aws:asset:path")
    ):
        return LocalCode(path=folder / str(metadata["aws:asset:path"]))
    name = "ContentUri" if "ContentUri" in properties else "Content"
    content = properties.get(name)
    if isinstance(content, dict) and content.get("S3Bucket") and content.get("S3Key"):
        return _in_bucket(content, folder)
    if not content:
        raise PropertyError(name, "is required")
    return _code_uri(name, content, folder)


def _in_bucket(code: Mapping[str, Any], folder: Path) -> LocalCode | RemoteCode:
    if code["S3Bucket"] == _SERVERLESS_BUCKET:
        return LocalCode(path=folder / str(code["S3Key"]).rpartition("/")[2])
    names = ("S3Bucket", "S3Key", "S3ObjectVersion")
    return RemoteCode(members={name: str(code[name]) for name in names if code.get(name)})


def _code_uri(name: str, value: Any, folder: Path) -> LocalCode | RemoteCode:
    if isinstance(value, dict):
        if not (value.get("Bucket") and value.get("Key")):
            raise PropertyError(name, "needs a path, or Bucket and Key")
        members = {"S3Bucket": str(value["Bucket"]), "S3Key": str(value["Key"])}
        return RemoteCode(members=members | ({"S3ObjectVersion": value["Version"]} if value.get("Version") else {}))
    address = _S3_ADDRESS.fullmatch(str(value))
    if address is not None:
        return RemoteCode(members={"S3Bucket": address[1], "S3Key": address[2]})
    return LocalCode(path=folder / str(value))


def _inline(name: str, text: Any, properties: Document) -> InlineCode:
    runtime = str(properties.get("Runtime", ""))
    if runtime.startswith("python"):
        return InlineCode(file_name="index.py", text=str(text))
    if runtime.startswith("nodejs"):
        return InlineCode(file_name="index.js", text=str(text))
    raise PropertyError(name, "is for Python and Node.js runtimes only")

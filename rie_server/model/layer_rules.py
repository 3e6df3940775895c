"""What AWS refuses of layers: in a function's configuration, and to other accounts.

Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.errors import AccessDeniedException, InvalidParameterValueException
from rie_server.limits import LAYERS, UNZIPPED_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import CodeReference
from rie_server.model.layer import Layer, LayerArn, LayerReference, LayerVersion, parse_layer_reference

# A version by its layer and number, or None.
FindVersion = Callable[[LayerArn, int], LayerVersion | None]


def function_layers(function: FunctionArn, layers: Sequence[str], find: FindVersion) -> tuple[LayerReference, ...]:
    """What ``function`` holds when its ``Layers`` are these, in this order.

    Raises:
        InvalidParameterValueException: too many, of another region, not there, or two of one layer.
        AccessDeniedException: another account's, which its policy does not let this one use.
    """
    if len(layers) > LAYERS:
        raise InvalidParameterValueException(f"Cannot reference more than {LAYERS} layers.")
    seen: dict[LayerArn, str] = {}
    references: list[LayerReference] = []
    for text in layers:
        arn, number = parse_layer_reference(text, region=function.region, account=function.account)
        if arn.region not in {"", function.region}:
            raise InvalidParameterValueException(
                "Layers are not in the same region as the function. "
                f"Layers are expected to be in region {function.region}."
            )
        version = None if number is None else find(arn, number)
        if version is None:
            raise InvalidParameterValueException(f"Layer version {text} does not exist.")
        check_access(version, function.account)
        if arn in seen:
            raise InvalidParameterValueException(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[arn]} and {text} are versions of the same layer."
            )
        seen[arn] = text
        references.append(version.reference)
    return tuple(references)


def check_unzipped_size(code_bytes: int, layers: Sequence[LayerReference]) -> None:
    """Lets code and layers pass that are small enough together.

    Args:
        code_bytes: of the function's own code, unpacked.

    Raises:
        InvalidParameterValueException: more than 250 MB.
    """
    layer_bytes = sum(layer.unzipped_bytes for layer in layers)
    if layer_bytes > UNZIPPED_BYTES:
        raise InvalidParameterValueException(f"Layers consume more than the available size of {UNZIPPED_BYTES} bytes")
    if layers and code_bytes + layer_bytes > UNZIPPED_BYTES:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_BYTES} bytes. "
            f"The actual size is {code_bytes + layer_bytes} bytes."
        )


def new_layer_version(
    layer: Layer, members: Mapping[str, Any], code: CodeReference, *, created_date: str
) -> LayerVersion:
    """The version that the members of PublishLayerVersion make next."""
    runtimes, architectures = members.get("CompatibleRuntimes"), members.get("CompatibleArchitectures")
    return LayerVersion(
        layer=layer.arn,
        version=layer.last_version + 1,
        description=members.get("Description", ""),
        created_date=created_date,
        sha256=code.sha256,
        size_bytes=code.size_bytes,
        unzipped_bytes=code.unzipped_bytes,
        license_info=members.get("LicenseInfo"),
        compatible_runtimes=None if runtimes is None else tuple(runtimes),
        compatible_architectures=None if architectures is None else tuple(architectures),
    )


def check_access(version: LayerVersion, account: str) -> None:
    """Lets ``account`` read a layer version: its own, or one whose policy names it.

    Raises:
        AccessDeniedException: it may not.
    """
    if version.layer.account == account:
        return
    statements = () if version.policy is None else version.policy.statements
    if not any(_names(statement, account) for statement in statements):
        raise AccessDeniedException(
            f"User: arn:aws:iam::{account}:root is not authorized to perform: lambda:GetLayerVersion "
            f"on resource: {version.arn} because no resource-based policy allows the lambda:GetLayerVersion action"
        )


def check_own(layer: LayerArn, account: str, action: str) -> None:
    """Lets an account change a layer of its own.

    Raises:
        AccessDeniedException: it is another account's.
    """
    if layer.account != account:
        raise AccessDeniedException(
            f"User: arn:aws:iam::{account}:root is not authorized to perform: lambda:{action} "
            f"on resource: {layer} because no resource-based policy allows the lambda:{action} action"
        )


def layer_statement(version: LayerVersion, members: Mapping[str, Any]) -> dict[str, Any]:
    """The statement that the members of AddLayerVersionPermission make."""
    principal = members["Principal"]
    if principal != "*":
        principal = {"AWS": principal if principal.startswith("arn:") else f"arn:aws:iam::{principal}:root"}
    statement = {
        "Sid": members["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": members["Action"],
        "Resource": version.arn,
    }
    organization = members.get("OrganizationId")
    if organization is None:
        return statement
    return {**statement, "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization}}}


def _names(statement: Mapping[str, Any], account: str) -> bool:
    """Which accounts an organization has is not known here, so a statement for one holds for all."""
    principal = statement["Principal"]
    return principal in ("*", {"AWS": f"arn:aws:iam::{account}:root"})

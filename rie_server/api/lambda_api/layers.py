"""The operations on layers and their versions."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.code_download import layer_path
from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import ResourceNotFoundException
from rie_server.limits import LIST_LAYERS_PAGE
from rie_server.model.layer import LayerArn, LayerVersion, describe_layer_version, parse_layer_reference
from rie_server.model.resource_policy import statement_json


def publish_layer_version(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return _described(scope, scope.registry.layers.publish(_layer(scope, members), members, account=scope.account))


def get_layer_version(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    layer, number = _layer(scope, members), members["VersionNumber"]
    return _described(scope, scope.registry.layers.get(layer, number, account=scope.account))


def get_layer_version_by_arn(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    layer, number = parse_layer_reference(members["Arn"], region=scope.region, account=scope.account)
    if number is None or layer.region != scope.region:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return _described(scope, scope.registry.layers.get(layer, number, account=scope.account))


def list_layers(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    runtime, architecture = members.get("CompatibleRuntime"), members.get("CompatibleArchitecture")
    found = scope.registry.layers.list(region=scope.region, account=scope.account)
    latest = ((layer.arn, layer.latest(runtime=runtime, architecture=architecture)) for layer in found)
    matching = [(arn, version) for arn, version in latest if version is not None]
    shown, marker = page(matching, members, largest=LIST_LAYERS_PAGE, name=lambda one: one[0].name)
    return {
        "Layers": [
            {"LayerName": arn.name, "LayerArn": str(arn), "LatestMatchingVersion": describe_layer_version(version)}
            for arn, version in shown
        ],
        "NextMarker": marker,
    }


def list_layer_versions(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    runtime, architecture = members.get("CompatibleRuntime"), members.get("CompatibleArchitecture")
    found = scope.registry.layers.versions(_layer(scope, members), account=scope.account)
    matching = [version for version in found if version.suits(runtime=runtime, architecture=architecture)]
    shown, marker = page(matching, members, largest=LIST_LAYERS_PAGE, name=_place)
    return {"LayerVersions": [describe_layer_version(version) for version in shown], "NextMarker": marker}


def delete_layer_version(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.layers.delete(_layer(scope, members), members["VersionNumber"], account=scope.account)
    return {}


def add_layer_version_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    statement, revision_id = scope.registry.layers.permit(
        _layer(scope, members), members["VersionNumber"], members, account=scope.account
    )
    return {"Statement": statement_json(statement), "RevisionId": revision_id}


def remove_layer_version_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    layers = scope.registry.layers
    layers.forbid(_layer(scope, members), members["VersionNumber"], members, account=scope.account)
    return {}


def get_layer_version_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    layer, number = _layer(scope, members), members["VersionNumber"]
    policy = scope.registry.layers.policy(layer, number, account=scope.account)
    return {"Policy": policy.document(), "RevisionId": policy.revision_id}


def _layer(scope: Scope, members: Mapping[str, Any]) -> LayerArn:
    arn, _ = parse_layer_reference(members["LayerName"], region=scope.region, account=scope.account)
    if arn.region != scope.region:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return arn


def _described(scope: Scope, version: LayerVersion) -> Mapping[str, Any]:
    content = {
        "Location": f"{scope.base_url}{layer_path(version.sha256)}",
        "CodeSha256": version.sha256,
        "CodeSize": version.size_bytes,
    }
    return {**describe_layer_version(version), "LayerArn": str(version.layer), "Content": content}


def _place(version: LayerVersion) -> str:
    """Where a version stands in a list: the newest first."""
    return f"{10**20 - version.version:020}"


OPERATIONS: Mapping[str, Operation] = {
    "PublishLayerVersion": publish_layer_version,
    "GetLayerVersion": get_layer_version,
    "GetLayerVersionByArn": get_layer_version_by_arn,
    "ListLayers": list_layers,
    "ListLayerVersions": list_layer_versions,
    "DeleteLayerVersion": delete_layer_version,
    "AddLayerVersionPermission": add_layer_version_permission,
    "RemoveLayerVersionPermission": remove_layer_version_permission,
    "GetLayerVersionPolicy": get_layer_version_policy,
}

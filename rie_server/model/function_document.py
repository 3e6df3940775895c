"""How a function's record is kept: as a JSON document, and back.

Pure.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rie_server.model.alias import Alias
from rie_server.model.arn import FunctionArn
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.event_invoke_rules import EventInvokeSettings
from rie_server.model.function_record import (
    CodeReference,
    Deployment,
    FunctionRecord,
    LifeCycle,
    ProvisionedConcurrency,
    PublishedVersion,
    State,
    UpdateStatus,
)
from rie_server.model.function_url import AuthType, FunctionUrl, InvokeMode
from rie_server.model.layer import LayerReference
from rie_server.model.recursion import RecursiveLoop
from rie_server.model.resource_policy import ResourcePolicy

_DOCUMENT_FORMAT = 1


def to_document(record: FunctionRecord) -> dict[str, Any]:
    """What the store keeps."""
    return {
        "format": _DOCUMENT_FORMAT,
        "arn": _flat(record.arn),
        "current": _deployment_document(record.current),
        "serving": None if record.serving is None else _deployment_document(record.serving),
        "life": _flat(record.life),
        "tags": dict(record.tags),
        "revision_id": record.revision_id,
        "last_modified": record.last_modified,
        "event_invoke_settings": {
            qualifier: _flat(settings) for qualifier, settings in record.event_invoke_settings.items()
        },
        "reserved_concurrency": record.reserved_concurrency,
        "provisioned": {qualifier: _flat(one) for qualifier, one in record.provisioned.items()},
        "recursive_loop": record.recursive_loop,
        "versions": [_version_document(version) for version in record.versions.values()],
        "aliases": [_flat(alias) for alias in record.aliases.values()],
        "last_version": record.last_version,
        "gone_configs": {qualifier: _flat(config) for qualifier, config in record.gone_configs.items()},
        "stored_settings": record.stored_settings,
        "policies": {qualifier: _flat(policy) for qualifier, policy in record.policies.items()},
        "urls": {qualifier: _flat(url) for qualifier, url in record.urls.items()},
    }


def from_document(document: Mapping[str, Any]) -> FunctionRecord:
    """The record that ``to_document`` wrote. Documents of earlier releases lack what could not be set then."""
    versions = [_version(version) for version in document.get("versions", ())]
    aliases = [Alias(**alias) for alias in document.get("aliases", ())]
    return FunctionRecord(
        arn=FunctionArn(**document["arn"]),
        current=_deployment(document["current"]),
        serving=None if document["serving"] is None else _deployment(document["serving"]),
        life=_life(document["life"]),
        tags=document["tags"],
        revision_id=document["revision_id"],
        last_modified=document["last_modified"],
        event_invoke_settings={
            qualifier: EventInvokeSettings(**settings)
            for qualifier, settings in document.get("event_invoke_settings", {}).items()
        },
        reserved_concurrency=document.get("reserved_concurrency"),
        provisioned={
            qualifier: ProvisionedConcurrency(**one) for qualifier, one in document.get("provisioned", {}).items()
        },
        recursive_loop=RecursiveLoop(document.get("recursive_loop", RecursiveLoop.TERMINATE)),
        versions={version.version: version for version in versions},
        aliases={alias.name: alias for alias in aliases},
        last_version=document.get("last_version", 0),
        gone_configs={
            qualifier: EventInvokeConfig(**config) for qualifier, config in document.get("gone_configs", {}).items()
        },
        stored_settings=document.get("stored_settings", {}),
        policies={
            qualifier: ResourcePolicy(**{**policy, "statements": tuple(policy["statements"])})
            for qualifier, policy in document.get("policies", {}).items()
        },
        urls={qualifier: _url(url) for qualifier, url in document.get("urls", {}).items()},
    )


def _deployment_document(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment_id": deployment.deployment_id,
        "configuration": dict(deployment.configuration),
        "code": _flat(deployment.code),
        "layers": [_flat(layer) for layer in deployment.layers],
    }


def _deployment(document: Mapping[str, Any]) -> Deployment:
    return Deployment(
        deployment_id=document["deployment_id"],
        configuration=document["configuration"],
        code=CodeReference(**document["code"]),
        layers=tuple(LayerReference(**layer) for layer in document.get("layers", ())),
    )


def _version_document(version: PublishedVersion) -> dict[str, Any]:
    return {**_flat(version), "deployment": _deployment_document(version.deployment), "life": _flat(version.life)}


def _version(document: Mapping[str, Any]) -> PublishedVersion:
    deployment, life = _deployment(document["deployment"]), _life(document["life"])
    return PublishedVersion(**{**document, "deployment": deployment, "life": life})


def _url(document: Mapping[str, Any]) -> FunctionUrl:
    typed = {"auth_type": AuthType(document["auth_type"]), "invoke_mode": InvokeMode(document["invoke_mode"])}
    return FunctionUrl(**{**document, **typed})


def _life(document: Mapping[str, Any]) -> LifeCycle:
    status = document["update_status"]
    typed = {"state": State(document["state"]), "update_status": None if status is None else UpdateStatus(status)}
    return LifeCycle(**{**document, **typed})


def _flat(data: Any) -> dict[str, Any]:
    return {field.name: getattr(data, field.name) for field in fields(data)}

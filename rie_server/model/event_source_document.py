"""An event source mapping as a JSON document, for the store.

Pure; ``mapping_from_document`` undoes ``mapping_to_document``.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind


def mapping_to_document(mapping: EventSourceMapping) -> dict[str, Any]:
    function = mapping.function
    return {
        "uuid": mapping.uuid,
        "kind": mapping.kind.value,
        "function": {
            "region": function.region,
            "account": function.account,
            "name": function.name,
            "qualifier": function.qualifier,
        },
        "source_arn": mapping.source_arn,
        "enabled": mapping.enabled,
        "state": mapping.state.value,
        "state_transition_reason": mapping.state_transition_reason,
        "members": dict(mapping.members),
        "last_modified": mapping.last_modified,
        "last_processing_result": mapping.last_processing_result,
        "tags": dict(mapping.tags),
    }


def mapping_from_document(document: Mapping[str, Any]) -> EventSourceMapping:
    return EventSourceMapping(
        uuid=document["uuid"],
        kind=SourceKind(document["kind"]),
        function=FunctionArn(**document["function"]),
        source_arn=document["source_arn"],
        enabled=document["enabled"],
        state=MappingState(document["state"]),
        state_transition_reason=document["state_transition_reason"],
        members=document["members"],
        last_modified=document["last_modified"],
        last_processing_result=document["last_processing_result"],
        tags=document["tags"],
    )

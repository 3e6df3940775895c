"""An event source mapping as Create, Get, Update, Delete and List show it. Pure."""

from typing import Any

from rie_server.model.event_source import EventSourceMapping, SourceKind


def describe_mapping(mapping: EventSourceMapping) -> dict[str, Any]:
    """``EventSourceMappingConfiguration``: what was set, AWS's defaults, and how the mapping stands."""
    return {
        **mapping.members,
        "UUID": mapping.uuid,
        "EventSourceArn": mapping.source_arn,
        "EventSourceMappingArn": mapping.arn,
        "FunctionArn": str(mapping.function),
        "LastModified": mapping.last_modified,
        "LastProcessingResult": None if mapping.kind is SourceKind.SQS else mapping.last_processing_result,
        "State": mapping.state,
        "StateTransitionReason": mapping.state_transition_reason,
    }


def describe_mapping_in_list(mapping: EventSourceMapping) -> dict[str, Any]:
    """The same; a list does not show filters that a key of the user's protects."""
    described = describe_mapping(mapping)
    if "KMSKeyArn" in mapping.members:
        described.pop("FilterCriteria", None)
    return described

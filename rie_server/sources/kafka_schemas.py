"""Records by a schema registry: ``SchemaRegistryConfig`` of a mapping, applied to keys and values.

Thread-safe. With EventRecordFormat JSON a key or value becomes the text of a JSON document, with SOURCE it stays what
it was, without the bytes that name its schema. Either way it must follow its schema; a record that does not is
marked (``SourceRecord.invalid``), and never reaches the function.
"""

import base64
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.sources.access import Clients
from rie_server.sources.glue_registry import GlueRegistry
from rie_server.sources.schema_formats import Decoder, InvalidPayloadError, decoder_of
from rie_server.sources.schema_registry import Schema, UnknownSchemaError, registry_of

_METADATA_BYTES = 80
_ATTRIBUTES = {"KEY": "key", "VALUE": "value"}


SchemaId = int | str


class Registry(Protocol):
    def unframe(self, framed: bytes, /) -> tuple[SchemaId, bytes]:
        """Raises UnknownSchemaError."""

    def schema(self, schema_id: Any, /) -> Schema:
        """Raises UnknownSchemaError, SourceError."""


class SchemaDecoding:
    """
    Args:
        attributes: ``key`` and ``value``, or one of them.
        is_json: EventRecordFormat.
    """

    def __init__(self, registry: Registry, attributes: tuple[str, ...], *, is_json: bool) -> None:
        self._registry = registry
        self._attributes = attributes
        self._is_json = is_json
        self._lock = threading.Lock()
        self._decoders: dict[SchemaId, tuple[Schema, Decoder]] = {}

    def __call__(self, record: SourceRecord) -> SourceRecord:
        """
        Raises:
            SourceError: the registry does not answer; nothing is known of the record then.
        """
        document, payload = dict(record.read_document()), record.payload
        try:
            for name in self._attributes:
                if name not in document:
                    continue  # a tombstone has no schema
                raw, decoded = self._decode(base64.b64decode(document[name]), name, document)
                document[name] = decoded if self._is_json else base64.b64encode(raw).decode("ascii")
                if name == "value":
                    payload = decoded.encode() if self._is_json else raw
        except (InvalidPayloadError, UnknownSchemaError) as wrong:
            return record._replace(invalid=str(wrong) or "unknown schema")
        size_bytes = record.size_bytes + sum(
            _METADATA_BYTES + 2 * len(document.get(one, "")) for one in self._attributes
        )
        return record._replace(document=document, payload=payload, size_bytes=size_bytes)

    def _decode(self, framed: bytes, name: str, document: dict[str, Any]) -> tuple[bytes, str]:
        schema_id, raw = self._registry.unframe(framed)
        schema, decode = self._decoder(schema_id)
        decoded = decode(raw)
        document[f"{name}SchemaMetadata"] = {"dataFormat": schema.data_format, "schemaId": str(schema_id)}
        return raw, decoded

    def _decoder(self, schema_id: SchemaId) -> tuple[Schema, Decoder]:
        with self._lock:
            known = self._decoders.get(schema_id)
        if known is not None:
            return known
        schema = self._registry.schema(schema_id)
        made = schema, decoder_of(schema)
        with self._lock:
            return self._decoders.setdefault(schema_id, made)


def schema_decoding(mapping: EventSourceMapping, clients: Clients) -> SchemaDecoding | None:
    """None where the mapping has no schema registry.

    Raises:
        SourceError: it has one that this server does not know.
    """
    configuration = _configuration(mapping)
    if configuration is None:
        return None
    wanted = [str(one.get("Attribute")) for one in configuration.get("SchemaValidationConfigs") or ()]
    return SchemaDecoding(
        _registry(mapping, configuration, clients),
        tuple(_ATTRIBUTES[one] for one in ("KEY", "VALUE") if one in wanted),
        is_json=configuration.get("EventRecordFormat", "JSON") == "JSON",
    )


def _registry(mapping: EventSourceMapping, configuration: Mapping[str, Any], clients: Clients) -> Registry:
    uri = str(configuration.get("SchemaRegistryURI") or "")
    is_glue = uri.startswith("arn:") and uri.split(":")[2:3] == ["glue"]
    return GlueRegistry(uri, clients) if is_glue else registry_of(mapping, configuration, clients)


def _configuration(mapping: EventSourceMapping) -> Mapping[str, Any] | None:
    for name in ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"):
        found = (mapping.members.get(name) or {}).get("SchemaRegistryConfig")
        if found:
            return dict(found)
    return None

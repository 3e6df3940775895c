"""AWS Glue's schema registry: Avro and JSON Schema, by the version's id that stands before each payload.

Thread-safe and without memory: who asks remembers, because a version never changes. Glue's serializer for Protobuf
names the message in a way of its own, which is not read here.
"""

import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from rie_server.errors import SourceError
from rie_server.sources.access import CONFIGURATION, Clients, call
from rie_server.sources.schema_registry import Schema, UnknownSchemaError

_HEADER_VERSION = 3
_PLAIN, _ZLIB = 0, 5
_HEAD_BYTES = 18
_FORMATS = ("AVRO", "JSON")
_NOT_FOUND = "EntityNotFoundException"


class GlueRegistry:
    """
    Args:
        arn: of the registry, ``arn:aws:glue:region:account:registry/name``.
    """

    def __init__(self, arn: str, clients: Clients) -> None:
        self._region = arn.split(":")[3]
        self._clients = clients

    def unframe(self, framed: bytes) -> tuple[str, bytes]:
        """The id of a schema version, and the payload as it was before Glue's serializer put that before it.

        Raises:
            UnknownSchemaError: it names none.
        """
        if len(framed) < _HEAD_BYTES or framed[0] != _HEADER_VERSION or framed[1] not in (_PLAIN, _ZLIB):
            raise UnknownSchemaError("It does not begin with the id of a schema version of Glue's.")
        payload = framed[_HEAD_BYTES:]
        try:
            return str(uuid.UUID(bytes=framed[2:_HEAD_BYTES])), zlib.decompress(payload) if framed[1] else payload
        except zlib.error as wrong:
            raise UnknownSchemaError(f"It is not compressed as it says: {wrong}") from None

    def schema(self, version_id: str) -> Schema:
        """
        Raises:
            UnknownSchemaError: there is none.
            SourceError: Glue cannot be reached, does not let this server in, or has it in Protobuf.
        """

        def get() -> Mapping[str, Any]:
            glue = self._clients.client("glue", self._region)
            answer: Mapping[str, Any] = glue.get_schema_version(SchemaVersionId=version_id)
            return answer

        try:
            found = call("GetSchemaVersion", "Glue", get)
        except SourceError as refusal:
            if _NOT_FOUND in str(refusal):
                raise UnknownSchemaError(str(refusal)) from None
            raise
        data_format = str(found["DataFormat"])
        if data_format not in _FORMATS:
            raise SourceError(f"{CONFIGURATION} {data_format} of Glue is not supported by this server.", passes=False)
        return Schema(data_format=data_format, text=str(found["SchemaDefinition"]))

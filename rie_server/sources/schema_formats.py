"""Avro, JSON Schema and Protobuf: bytes into JSON by a schema. Pure, but for the Protobuf compiler's temporary folder.

Avro becomes plain JSON: a union is its value, bytes are a text of their values (as in Avro's own JSON), and logical
types stay what carries them. Protobuf becomes its own JSON mapping.
"""

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rie_server.sources.schema_registry import Schema

# From a payload without the schema's id to JSON's text; raises InvalidPayloadError.
Decoder = Callable[[bytes], str]


class InvalidPayloadError(Exception):
    """The payload does not follow its schema, or the schema makes no sense."""


def decoder_of(schema: Schema) -> Decoder:
    """
    Raises:
        InvalidPayloadError: the schema makes no sense.
    """
    makers = {"AVRO": _avro, "JSON": _json, "PROTOBUF": _protobuf}
    make = makers.get(schema.data_format)
    if make is None:
        raise InvalidPayloadError(f"{schema.data_format} is no format of schemas.")
    try:
        decode = make(schema)
    except Exception as wrong:  # each library has errors of its own
        raise InvalidPayloadError(f"The schema makes no sense: {wrong}") from wrong

    def guarded(payload: bytes) -> str:
        try:
            return decode(payload)
        except Exception as wrong:
            raise InvalidPayloadError(f"{type(wrong).__name__}: {wrong}") from wrong

    return guarded


def _avro(schema: Schema) -> Decoder:
    import fastavro  # noqa: PLC0415 - loaded with the first schema

    named: dict[str, Any] = {}
    for text in schema.references.values():
        fastavro.parse_schema(_without_logical_types(json.loads(text)), named_schemas=named)
    parsed = fastavro.parse_schema(_without_logical_types(json.loads(schema.text)), named_schemas=named)

    def decode(payload: bytes) -> str:
        reader = io.BytesIO(payload)
        document = fastavro.schemaless_reader(reader, parsed, None)
        if reader.read(1):
            raise ValueError("there are bytes behind the record")
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=_avro_bytes)

    return decode


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_logical_types(value) for name, value in schema.items() if name != "logicalType"}
    return [_without_logical_types(one) for one in schema] if isinstance(schema, list) else schema


def _avro_bytes(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    raise TypeError(f"{type(value).__name__} has no JSON")


def _json(schema: Schema) -> Decoder:
    from jsonschema.validators import validator_for  # noqa: PLC0415 - loaded with the first schema
    from referencing import Registry, Resource  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    document = json.loads(schema.text)
    kind = validator_for(document)
    kind.check_schema(document)
    resources = [
        (name, Resource.from_contents(json.loads(text), default_specification=DRAFT202012))
        for name, text in schema.references.items()
    ]
    validator = kind(document, registry=Registry().with_resources(resources))

    def decode(payload: bytes) -> str:
        validator.validate(json.loads(payload))
        return payload.decode()

    return decode


def _protobuf(schema: Schema) -> Decoder:
    from google.protobuf import json_format, message_factory  # noqa: PLC0415 - loaded with the first schema

    pool, file = _compile(schema)

    def decode(payload: bytes) -> str:
        indexes, start = message_indexes(payload)
        kinds = list(file.message_types_by_name.values())
        found = kinds[indexes[0]]
        for index in indexes[1:]:
            found = found.nested_types[index]
        message = message_factory.GetMessageClass(found)()
        message.ParseFromString(payload[start:])
        return str(json_format.MessageToJson(message, indent=None, ensure_ascii=False, descriptor_pool=pool))

    return decode


def _compile(schema: Schema) -> tuple[Any, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool  # noqa: PLC0415
    from grpc_tools import protoc  # noqa: PLC0415

    well_known = str(Path(protoc.__file__).parent / "_proto")
    with tempfile.TemporaryDirectory(prefix="rie-protobuf-") as folder:
        for name, text in {**schema.references, "schema.proto": schema.text}.items():
            path = (Path(folder) / name).resolve()
            if not path.is_relative_to(Path(folder).resolve()):
                raise ValueError(f"{name} is no name of a schema")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        out = Path(folder) / "descriptors"
        arguments = ["protoc", f"-I{folder}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}"]
        if protoc.main([*arguments, "schema.proto"]) != 0:
            raise ValueError("protoc does not compile it")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool, pool.FindFileByName("schema.proto")


def message_indexes(payload: bytes) -> tuple[list[int], int]:
    """Which message of the schema a payload of Protobuf holds, and where it begins: ``[0]`` is the first one,
    ``[1, 0]`` the first within the second.

    Raises:
        ValueError: it does not begin so.
    """
    count, at = _signed(payload, 0)
    if count == 0:
        return [0], at
    if not 0 < count <= 100:
        raise ValueError("there are no message indexes")
    found = []
    for _ in range(count):
        index, at = _signed(payload, at)
        found.append(index)
    return found, at


def _signed(payload: bytes, at: int) -> tuple[int, int]:
    """A number in zig-zag encoding."""
    value = shift = 0
    while True:
        if at >= len(payload) or shift > 63:
            raise ValueError("there are no message indexes")
        byte = payload[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7

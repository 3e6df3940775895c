"""Records by a schema registry: what of each format becomes what, and what happens to records that do not fit."""

import base64
import io
import json
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from tests.contract.kafka_secrets import Secrets, mapping
from tests.servers.certificates import KEY_PASSWORD, Certificates
from tests.servers.schema_registry import SchemaRegistryServer, framed

fastavro = pytest.importorskip("fastavro")

from rie_server.sources.kafka_schemas import schema_decoding  # noqa: E402 - an extra

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "raw", "type": "bytes"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    ],
}
PROTO = """
syntax = "proto3";
import "money.proto";
message Order {
  int64 order_id = 1;
  Money price = 2;
  message Line { string what = 1; }
}
message Other { string other_name = 1; }
"""


@pytest.fixture
def registry() -> Iterator[SchemaRegistryServer]:
    with SchemaRegistryServer() as server:
        yield server


def record(value: bytes | None, key: bytes | None = None) -> SourceRecord:
    document: dict[str, Any] = {"topic": "orders", "partition": 0, "offset": 0, "headers": []}
    if key is not None:
        document["key"] = base64.b64encode(key).decode()
    if value is not None:
        document["value"] = base64.b64encode(value).decode()
    return SourceRecord(
        identifier="0", lane="orders-0", arrived_at=0.0, size_bytes=100, document=document, payload=value
    )


def decode(
    url: str,
    one: SourceRecord,
    *,
    form: str = "JSON",
    attributes: tuple[str, ...] = ("VALUE",),
    access: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
) -> SourceRecord:
    configuration = {
        "SchemaRegistryURI": url,
        "EventRecordFormat": form,
        "AccessConfigs": [{"Type": kind, "URI": uri} for kind, uri in (access or {}).items()],
        "SchemaValidationConfigs": [{"Attribute": attribute} for attribute in attributes],
    }
    wanted = mapping("127.0.0.1:9", {}, SelfManagedKafkaEventSourceConfig={"SchemaRegistryConfig": configuration})
    decoding = schema_decoding(wanted, secrets or Secrets())
    assert decoding is not None
    return decoding(one)


def avro(document: Any, schema: Any = ORDER) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), document)
    return out.getvalue()


def test_avro_becomes_plain_json(registry: SchemaRegistryServer) -> None:
    schema_id = registry.add(ORDER)
    payload = avro({"id": 7, "note": "ü", "raw": b"\x00\xff", "day": 20_000})

    decoded = decode(registry.url, record(framed(schema_id, payload)))

    assert decoded.invalid is None
    assert json.loads(decoded.document["value"]) == {"id": 7, "note": "ü", "raw": "\x00ÿ", "day": 20_000}
    assert decoded.document["valueSchemaMetadata"] == {"dataFormat": "AVRO", "schemaId": str(schema_id)}
    assert decoded.payload == decoded.document["value"].encode()


def test_the_source_format_keeps_the_bytes_without_the_id(registry: SchemaRegistryServer) -> None:
    payload = avro({"id": 7, "note": None, "raw": b"", "day": 0})
    decoded = decode(registry.url, record(framed(registry.add(ORDER), payload)), form="SOURCE")
    assert base64.b64decode(decoded.document["value"]) == payload
    assert decoded.document["valueSchemaMetadata"]["dataFormat"] == "AVRO"


def test_keys_are_decoded_where_they_are_named_and_left_alone_where_not(registry: SchemaRegistryServer) -> None:
    schema_id = registry.add("string")
    assert registry.add('"string"') == schema_id + 1
    key = framed(schema_id + 1, avro("k", "string"))
    both = decode(registry.url, record(key, key), attributes=("KEY", "VALUE"))
    assert (both.document["key"], both.document["value"]) == ('"k"', '"k"')
    assert both.document["keySchemaMetadata"]["schemaId"] == str(schema_id + 1)
    only = decode(registry.url, record(key, key), attributes=("VALUE",))
    assert base64.b64decode(only.document["key"]) == key
    assert "keySchemaMetadata" not in only.document


def test_json_must_follow_its_schema(registry: SchemaRegistryServer) -> None:
    schema_id = registry.add({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}, "JSON")
    good = decode(registry.url, record(framed(schema_id, b'{"id": 1}')))
    assert (good.document["value"], good.invalid) == ('{"id": 1}', None)
    bad = decode(registry.url, record(framed(schema_id, b'{"id": "one"}')))
    assert bad.invalid is not None
    assert bad.document == record(framed(schema_id, b'{"id": "one"}')).document
    assert decode(registry.url, record(framed(schema_id, b"{"))).invalid is not None


def test_json_schemas_may_refer_to_others(registry: SchemaRegistryServer) -> None:
    other = registry.add({"type": "integer"}, "JSON")
    references = [{"name": "number.json", "subject": f"s-{other}", "version": 1}]
    schema_id = registry.add({"properties": {"n": {"$ref": "number.json"}}}, "JSON", references)
    assert decode(registry.url, record(framed(schema_id, b'{"n":1}'))).invalid is None
    assert decode(registry.url, record(framed(schema_id, b'{"n":"1"}'))).invalid is not None


def test_protobuf_becomes_its_own_json_whichever_message_it_is(registry: SchemaRegistryServer) -> None:
    money = registry.add('syntax = "proto3"; message Money { int32 cents = 1; }', "PROTOBUF")
    references = [{"name": "money.proto", "subject": f"s-{money}", "version": 1}]
    schema_id = registry.add(PROTO, "PROTOBUF", references)
    order = b"\x08\x05\x12\x02\x08\x07"
    first = decode(registry.url, record(framed(schema_id, b"\x00" + order)))
    assert json.loads(first.document["value"]) == {"orderId": "5", "price": {"cents": 7}}
    assert first.document["valueSchemaMetadata"] == {"dataFormat": "PROTOBUF", "schemaId": str(schema_id)}
    second = decode(registry.url, record(framed(schema_id, b"\x02\x02" + b"\x0a\x01x")))
    assert json.loads(second.document["value"]) == {"otherName": "x"}
    nested = decode(registry.url, record(framed(schema_id, b"\x04\x00\x00" + b"\x0a\x01x")))
    assert json.loads(nested.document["value"]) == {"what": "x"}
    assert decode(registry.url, record(framed(schema_id, b"\x00\xff"))).invalid is not None


@pytest.mark.parametrize("value", [b"", b"plain", framed(999, b"x"), framed(1, b"\x01"), b"\x00\x00"])
def test_what_names_no_schema_or_does_not_fit_is_invalid(registry: SchemaRegistryServer, value: bytes) -> None:
    registry.add(ORDER)
    assert decode(registry.url, record(value)).invalid is not None


def test_a_tombstone_passes(registry: SchemaRegistryServer) -> None:
    decoded = decode(registry.url, record(None, b"k"))
    assert decoded.invalid is None
    assert "value" not in decoded.document


def test_each_schema_is_asked_for_once(registry: SchemaRegistryServer) -> None:
    schema_id = registry.add('"string"')
    one = record(framed(schema_id, avro("k", "string")))
    configuration = {"SchemaRegistryURI": registry.url, "SchemaValidationConfigs": [{"Attribute": "VALUE"}]}
    wanted = mapping("127.0.0.1:9", {}, SelfManagedKafkaEventSourceConfig={"SchemaRegistryConfig": configuration})
    decoding = schema_decoding(wanted, Secrets())
    assert decoding is not None
    assert [decoding(one).invalid for _ in range(3)] == [None] * 3
    assert registry.asked == [f"/schemas/ids/{schema_id}"]


def test_a_registry_that_fails_says_nothing_of_the_record(registry: SchemaRegistryServer) -> None:
    one = record(framed(registry.add('"string"'), avro("k", "string")))
    registry.status = 500
    with pytest.raises(SourceError, match=r"Schema registry error\. 500"):
        decode(registry.url, one)
    with pytest.raises(SourceError, match="Schema registry error"):
        decode("http://127.0.0.1:9", one)


def test_a_registry_that_wants_a_password_gets_it() -> None:
    secrets = Secrets()
    with SchemaRegistryServer(user="u:p") as registry:
        one = record(framed(registry.add('"string"'), avro("k", "string")))
        access = {"BASIC_AUTH": secrets.put("registry", username="u", password="p")}
        assert decode(registry.url, one, access=access, secrets=secrets).document["value"] == '"k"'
        with pytest.raises(SourceError, match="401"):
            decode(registry.url, one)


def test_a_registry_that_wants_a_certificate_gets_it(tmp_path: Path) -> None:
    secrets, own = Secrets(), Certificates(tmp_path)
    with SchemaRegistryServer(certificates=own) as registry:
        one = record(framed(registry.add('"string"'), avro("k", "string")))
        access = {
            "SERVER_ROOT_CA_CERTIFICATE": secrets.put("ca", certificate=own.authority_pem),
            "CLIENT_CERTIFICATE_TLS_AUTH": secrets.put(
                "client", certificate=own.client_pem, privateKey=own.client_key_pem, privateKeyPassword=KEY_PASSWORD
            ),
        }
        assert decode(registry.url, one, access=access, secrets=secrets).document["value"] == '"k"'


# --- Glue -------------------------------------------------------------------------------------------------------------


GLUE = "arn:aws:glue:eu-west-1:123456789012:registry/orders"
VERSION = uuid.UUID("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")


def glue_framed(payload: bytes, *, compressed: bool = False, version: uuid.UUID = VERSION) -> bytes:
    """As Glue's serializers write it."""
    if compressed:
        return b"\x03\x05" + version.bytes + zlib.compress(payload)
    return b"\x03\x00" + version.bytes + payload


@pytest.fixture
def glue() -> Secrets:
    secrets = Secrets()
    secrets.schemas[str(VERSION)] = {"DataFormat": "AVRO", "SchemaDefinition": json.dumps(ORDER)}
    return secrets


@pytest.mark.parametrize("compressed", [False, True])
def test_avro_of_glue_becomes_plain_json(glue: Secrets, compressed: bool) -> None:
    payload = avro({"id": 7, "note": None, "raw": b"", "day": 1})
    one = record(glue_framed(payload, compressed=compressed))

    decoded = decode(GLUE, one, secrets=glue)

    assert json.loads(decoded.document["value"]) == {"id": 7, "note": None, "raw": "", "day": 1}
    assert decoded.document["valueSchemaMetadata"] == {"dataFormat": "AVRO", "schemaId": str(VERSION)}
    source = decode(GLUE, one, form="SOURCE", secrets=glue)
    assert base64.b64decode(source.document["value"]) == source.payload == payload


def test_what_names_no_schema_of_glue_or_one_that_is_not_there_is_invalid(glue: Secrets) -> None:
    for value in (
        b"",
        b"\x00\x00\x00\x00\x01x",
        b"\x03\x05" + VERSION.bytes + b"x",
        glue_framed(b"x", version=uuid.UUID(int=1)),
    ):
        assert decode(GLUE, record(value), secrets=glue).invalid, value


def test_glue_that_does_not_let_this_server_in_says_nothing_of_the_record(glue: Secrets) -> None:
    glue.schemas.clear()
    glue.refusal = "AccessDeniedException"
    told = "Error occurred while GetSchemaVersion. Glue Error Code: AccessDeniedException."
    with pytest.raises(SourceError, match=told):
        decode(GLUE, record(glue_framed(b"x")), secrets=glue)


def test_protobuf_of_glue_is_refused_in_words(glue: Secrets) -> None:
    glue.schemas[str(VERSION)] = {"DataFormat": "PROTOBUF", "SchemaDefinition": PROTO}
    with pytest.raises(SourceError, match="PROTOBUF of Glue is not supported by this server"):
        decode(GLUE, record(glue_framed(b"x")), secrets=glue)


def test_what_is_no_registry_is_refused_in_words() -> None:
    with pytest.raises(SourceError, match="neither a URL nor a registry of Glue's"):
        decode("arn:aws:sqs:eu-west-1:123456789012:orders", record(None))

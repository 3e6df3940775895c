import base64
import json
import math
from typing import Any

import pytest

from rie_server.api.exchange import Request
from rie_server.api.lambda_api.reading import read_input
from rie_server.api.lambda_api.serialization import write_output
from rie_server.api.lambda_api.service_model import ServiceModel
from rie_server.errors import SerializationException
from tests.unit.lambda_api.test_rendering import request

MODEL = ServiceModel(
    {
        "operations": {
            "Try": {
                "http": {"method": "POST", "requestUri": "/1/{Name}", "responseCode": 202},
                "input": {"shape": "Input"},
                "output": {"shape": "Output"},
            },
            "Tell": {"http": {"method": "POST", "requestUri": "/3"}, "input": {"shape": "Told"}},
            "Carry": {"http": {"method": "POST", "requestUri": "/2"}, "input": {"shape": "Whole"}},
        },
        "shapes": {
            "Input": {
                "type": "structure",
                "members": {
                    "Name": {"shape": "Text", "location": "uri", "locationName": "Name"},
                    "Limit": {"shape": "Count", "location": "querystring", "locationName": "MaxItems"},
                    "Deep": {"shape": "Flag", "location": "querystring", "locationName": "deep"},
                    "Keys": {"shape": "Texts", "location": "querystring", "locationName": "keys"},
                    "After": {"shape": "When", "location": "querystring", "locationName": "after"},
                    "Kind": {"shape": "Text", "location": "header", "locationName": "X-Amz-Kind"},
                    "Size": {"shape": "Count"},
                    "Ratio": {"shape": "Ratio"},
                    "When": {"shape": "When"},
                    "Data": {"shape": "Data"},
                    "Map": {"shape": "Map"},
                },
            },
            "Whole": {"type": "structure", "members": {"Payload": {"shape": "Data"}}, "payload": "Payload"},
            "Told": {"type": "structure", "members": {"Error": {"shape": "Trouble"}}, "payload": "Error"},
            "Trouble": {"type": "structure", "members": {"Message": {"shape": "Text"}}},
            "Output": {
                "type": "structure",
                "members": {
                    "Status": {"shape": "Count", "location": "statusCode"},
                    "Kind": {"shape": "Text", "location": "header", "locationName": "X-Amz-Kind"},
                    "When": {"shape": "When"},
                    "Data": {"shape": "Data"},
                    "Keys": {"shape": "Texts"},
                    "Absent": {"shape": "Text"},
                },
            },
            "Text": {"type": "string"},
            "Texts": {"type": "list", "member": {"shape": "Text"}},
            "Count": {"type": "integer"},
            "Ratio": {"type": "double"},
            "Flag": {"type": "boolean"},
            "When": {"type": "timestamp"},
            "Data": {"type": "blob"},
            "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Count"}},
        },
    }
)


def read(body: bytes = b"", query: str = "", **headers: str) -> dict[str, Any]:
    sent = Request("POST", "/1/f", query, headers, body, request().connection)
    return read_input(MODEL, MODEL.operations["Try"], {"Name": "f"}, sent)


def test_members_come_from_path_query_headers_and_body() -> None:
    sent = Request(
        "POST",
        "/1/f",
        "MaxItems=7&deep=true&keys=a&keys=b%26c&other=1",
        {"x-amz-kind": "k"},
        b'{"Size":3,"Ratio":1,"When":1.5,"Data":"aGk=","Map":{"a":1}}',
        request().connection,
    )
    assert read_input(MODEL, MODEL.operations["Try"], {"Name": "f"}, sent) == {
        "Name": "f",
        "Limit": 7,
        "Deep": True,
        "Keys": ["a", "b&c"],
        "Kind": "k",
        "Size": 3,
        "Ratio": 1.0,
        "When": 1.5,
        "Data": b"hi",
        "Map": {"a": 1},
    }


def test_a_payload_is_taken_as_it_is() -> None:
    sent = Request("POST", "/2", "", {}, b"\xff{", request().connection)
    assert read_input(MODEL, MODEL.operations["Carry"], {}, sent) == {"Payload": b"\xff{"}


def test_a_structure_may_be_the_whole_body_or_absent() -> None:
    for body, members in ((b'{"Message": "no"}', {"Error": {"Message": "no"}}), (b"{}", {"Error": {}}), (b"", {})):
        sent = Request("POST", "/3", "", {}, body, request().connection)
        assert read_input(MODEL, MODEL.operations["Tell"], {}, sent) == members


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1767225600.5", 1767225600.5),
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T00:00:00.250000Z", 1767225600.25),
        ("2026-01-01T01:00:00%2B01:00", 1767225600.0),
        ("2026-01-01T00:00:00", 1767225600.0),
    ],
)
def test_a_time_in_the_query_is_a_number_or_iso_8601(text: str, seconds: float) -> None:
    assert read(query=f"after={text}")["After"] == seconds


@pytest.mark.parametrize("text", ["soon", "NaN", "inf", "1e999", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_time_in_the_query_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SerializationException, match="can not be converted to a Date"):
        read(query=f"after={text}")


def test_base64_may_be_broken_into_lines() -> None:
    data = bytes(range(256))
    body = json.dumps({"Data": base64.encodebytes(data).decode()}).encode()
    assert read(body)["Data"] == data


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"Size":"3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Size":true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"Size":1e999}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"Ratio":false}', "FALSE_VALUE can not be converted to a Double"),
        (b'{"Size":[]}', "Start of list found where not expected"),
        (b'{"Map":{"a":{}}}', "Start of structure or map found where not expected."),
        (b'{"Map":[]}', "Expected map or null"),
        (b'{"Map":{"\\ud800":1}}', "Invalid UTF-16 surrogate in a string"),
        (b"1", "Unexpected field type"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(body: bytes, message: str) -> None:
    with pytest.raises(SerializationException) as error:
        read(body)
    assert error.value.message == message


def test_a_number_beyond_every_double_is_left_to_validation() -> None:
    digits = b"1" * 400
    assert read(b'{"Size":' + digits + b"}")["Size"] == int(digits)
    assert read(b'{"Ratio":' + digits + b"}")["Ratio"] == math.inf
    assert read(b'{"Ratio":-' + digits + b"}")["Ratio"] == -math.inf


def test_a_number_in_the_query_must_be_one() -> None:
    with pytest.raises(SerializationException):
        read(query="MaxItems=many")


def test_output_goes_to_status_headers_and_body() -> None:
    output = {"Status": 299, "Kind": "k", "When": 5.0, "Data": b"hi", "Keys": ["a"], "Absent": None, "Unknown": 1}
    reply = write_output(MODEL, MODEL.operations["Try"], output, "id")
    assert reply.status == 299
    assert ("X-Amz-Kind", "k") in reply.headers
    assert reply.body == b'{"When":5,"Data":"aGk=","Keys":["a"]}'
    assert write_output(MODEL, MODEL.operations["Try"], {}, "id").status == 202

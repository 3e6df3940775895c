"""Events become the same bytes whichever library writes them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rie_server.pollers import event_json as module
from rie_server.pollers.event_json import event_json, standard_json

EVENTS: tuple[dict[str, Any], ...] = (
    {"records": {"orders-0": [{"offset": 2**63 - 1, "value": "aGk=", "headers": [{"h": [-1, 127]}], "key": None}]}},
    {"text": 'ä€😀 "quoted" \\ \n\x01\u2028', "true": True, "numbers": [0, -1, 0.5, 1e-7, 1e21, 123456789.25]},
)


@pytest.mark.parametrize("event", EVENTS)
def test_both_libraries_write_an_event_alike(event: dict[str, Any]) -> None:
    assert json.loads(event_json(event)) == json.loads(standard_json(event)) == event


def test_integers_of_any_size_are_written() -> None:
    assert event_json({"n": 2**80}) == b'{"n":1208925819614629174706176}'


def test_events_are_written_without_the_extra_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "orjson", None)
    assert event_json({"a": ["ä", None]}) == '{"a":["ä",null]}'.encode()


@pytest.mark.parametrize("write", [event_json, standard_json])
def test_what_is_json_already_stands_in_the_event_as_it_is(write: Callable[[dict[str, Any]], bytes]) -> None:
    document = '{"key":"ä","offset":7}'.encode()
    assert write({"records": {"orders-0": [document, {"offset": 8}]}}) == (
        b'{"records":{"orders-0":[' + document + b',{"offset":8}]}}'
    )

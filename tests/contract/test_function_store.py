"""What every FunctionStore promises."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.functions import DatabaseFunctionStore
from rie_server.storing import FunctionStore
from tests.fakes.stores import MemoryFunctionStore

KEY = "arn:aws:lambda:us-east-1:000000000000:function:orders"


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FunctionStore]:
    if request.param == "memory":
        yield MemoryFunctionStore()
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    else:
        url = sqlite_url(tmp_path)
    database = Database(url)
    yield DatabaseFunctionStore(database)
    database.close()


def test_a_new_store_is_empty(store: FunctionStore) -> None:
    assert dict(store.load()) == {}


def test_a_saved_document_is_loaded_as_it_was(store: FunctionStore) -> None:
    document = {"Name": "orders", "Größe": 3, "nested": {"a": [1, 2.5, None, True]}, "empty": "", "quote": "'\";--"}

    store.save(KEY, document)

    assert dict(store.load()) == {KEY: document}


def test_it_can_be_asked_whether_there_is_a_document(store: FunctionStore) -> None:
    store.save(KEY, {"a": 1})

    assert store.has(KEY)
    assert not store.has(f"{KEY}-2")


def test_saving_again_replaces_the_whole_document(store: FunctionStore) -> None:
    store.save(KEY, {"a": 1, "b": 2})
    store.save(KEY, {"a": 3})

    assert dict(store.load()) == {KEY: {"a": 3}}


def test_changing_a_document_after_it_was_saved_changes_nothing_in_the_store(store: FunctionStore) -> None:
    document = {"a": 1}
    store.save(KEY, document)
    document["a"] = 2

    assert store.load()[KEY] == {"a": 1}


def test_deleting_removes_that_document_alone(store: FunctionStore) -> None:
    store.save(KEY, {})
    store.save(KEY + "2", {})

    store.delete(KEY)

    assert list(store.load()) == [KEY + "2"]


def test_deleting_what_is_not_there_is_harmless(store: FunctionStore) -> None:
    store.delete(KEY)

    assert dict(store.load()) == {}


def test_many_threads_may_save_at_once(store: FunctionStore) -> None:
    def save(number: int) -> None:
        for turn in range(5):
            store.save(f"{KEY}-{number}", {"turn": turn})

    threads = [threading.Thread(target=save, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert dict(store.load()) == {f"{KEY}-{number}": {"turn": 4} for number in range(16)}


def test_documents_outlive_the_process_that_saved_them(tmp_path: Path) -> None:
    first = Database(sqlite_url(tmp_path))
    DatabaseFunctionStore(first).save(KEY, {"a": 1})
    first.close()

    second = Database(sqlite_url(tmp_path))
    assert dict(DatabaseFunctionStore(second).load()) == {KEY: {"a": 1}}
    second.close()


def test_documents_are_loaded_by_how_their_keys_begin(store: FunctionStore) -> None:
    for key in (KEY, f"gone {KEY}", "layer one", "layer_two", "layer%"):
        store.save(key, {"key": key})

    assert set(store.load("layer ")) == {"layer one"}
    assert set(store.load("layer_")) == {"layer_two"}
    assert set(store.load("layer%")) == {"layer%"}
    assert set(store.load("arn:")) == {KEY}
    assert dict(store.load("nothing ")) == {}

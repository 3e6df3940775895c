"""Function URLs: made, changed, listed, deleted, and found by the address that a client calls.

Changes are carried out on the registry's writer thread; reading needs no lock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rie_server.errors import ResourceConflictException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.model.function_url import FunctionUrl, changed_url, new_url
from rie_server.model.tenancy import check_url
from rie_server.ports import Clock
from rie_server.registry.records import FunctionRecords

Change = Callable[[FunctionArn, Callable[[FunctionRecord], FunctionRecord]], FunctionRecord]


class FunctionUrls:
    """
    Args:
        change: replaces the record of a function on the writer thread.
    """

    def __init__(self, *, records: FunctionRecords, change: Change, clock: Clock) -> None:
        self._records = records
        self._change = change
        self._clock = clock
        self._by_id: dict[str, tuple[FunctionArn, FunctionUrl]] = {}
        records.on_change(self._on_record)

    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionUrl:
        """Gives a function or an alias a URL.

        Raises:
            ResourceNotFoundException: no such function or alias.
            ResourceConflictException: it has a URL.
            InvalidParameterValueException: it keeps tenants apart.
        """
        url = new_url(members, url_id=uuid4().hex, now=self._now())

        def rule(record: FunctionRecord) -> FunctionRecord:
            check_url(record.current.configuration)
            if (function.qualifier or "") in record.urls:
                raise ResourceConflictException(
                    f"Failed to create function url config for [functionArn = {function}]. "
                    "Error message:  FunctionUrlConfig exists for this Lambda function"
                )
            return _with(record, function, url)

        self._change(function, rule)
        return url

    def update(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionUrl:
        """
        Raises:
            ResourceNotFoundException: no such function, alias or URL.
        """
        now = self._now()

        def rule(record: FunctionRecord) -> FunctionRecord:
            return _with(record, function, changed_url(_known(record, function), members, now=now))

        return _known(self._change(function, rule), function)

    def get(self, function: FunctionArn) -> FunctionUrl:
        """
        Raises:
            ResourceNotFoundException: no such function, alias or URL.
        """
        return _known(self._records.get(function), function)

    def delete(self, function: FunctionArn) -> None:
        """
        Raises:
            ResourceNotFoundException: no such function, alias or URL.
        """

        def rule(record: FunctionRecord) -> FunctionRecord:
            _known(record, function)
            return _with(record, function, None)

        self._change(function, rule)

    def list(self, function: FunctionArn) -> Sequence[tuple[FunctionArn, FunctionUrl]]:
        """The URLs of a function and of its aliases; its own first, the others by alias.

        Raises:
            ResourceNotFoundException: no such function.
        """
        record = self._records.find(function.unqualified)
        if record is None:
            raise ResourceNotFoundException("Function does not exist")
        return [(_at(record.arn, qualifier), record.urls[qualifier]) for qualifier in sorted(record.urls)]

    def find(self, url_id: str) -> tuple[FunctionArn, FunctionUrl] | None:
        """What a client calls by this URL. Safe where nothing may wait."""
        return self._by_id.get(url_id)

    def _on_record(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        urls = {} if after is None else after.urls
        if before is not None and before.urls is urls:
            return
        known = {url_id: found for url_id, found in self._by_id.items() if found[0].unqualified != arn}
        known |= {url.url_id: (_at(arn, qualifier), url) for qualifier, url in urls.items()}
        self._by_id = known

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._clock.now(), UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _at(arn: FunctionArn, qualifier: str) -> FunctionArn:
    return arn.qualified(qualifier) if qualifier else arn


def _known(record: FunctionRecord, function: FunctionArn) -> FunctionUrl:
    url = record.urls.get(function.qualifier or "")
    if url is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return url


def _with(record: FunctionRecord, function: FunctionArn, url: FunctionUrl | None) -> FunctionRecord:
    key = function.qualifier or ""
    kept = {qualifier: one for qualifier, one in record.urls.items() if qualifier != key}
    return replace(record, urls=kept if url is None else {**kept, key: url})

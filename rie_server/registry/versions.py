"""Published versions: made, listed, deleted.

Changes are carried out on the registry's writer thread; reading needs no lock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.model.version_rules import check_publishable, published, unchanged_version, without_version
from rie_server.registry.code_keeping import CodeKeeper
from rie_server.registry.code_storage import CodeStorage
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import ServingVersions

Write = Callable[[Callable[[], FunctionRecord]], FunctionRecord]


class Versions:
    """
    Args:
        write: carries a change out on the writer thread and waits for it.
    """

    def __init__(
        self,
        *,
        records: FunctionRecords,
        serving: ServingVersions,
        code: CodeKeeper,
        storage: CodeStorage,
        write: Write,
    ) -> None:
        self._records = records
        self._storage = storage
        self._serving = serving
        self._code = code
        self._write = write

    def publish(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord:
        """Makes a version of ``$LATEST``, which runs at once; returns the function as that version, or as the last one
        if nothing has changed since.

        Args:
            members: of PublishVersion.

        Raises:
            LambdaError: in AWS's words.
        """

        def write() -> FunctionRecord:
            record = self._records.get(function.unqualified)
            check_publishable(record, members)
            existing = unchanged_version(record)
            if existing is not None:
                return record.at(existing.version)
            self._storage.check_room(record.arn.region, record.arn.account, record.current.code.size_bytes)
            record = _published(record, members.get("Description"))
            number = str(record.last_version)
            deployment = record.versions[number].deployment
            ready = self._code.runnable(record.arn, deployment, number)
            self._records.store(record)
            # Published first: who sees Active may invoke at once.
            self._serving.publish(record.arn, ready)
            self._records.show(record)
            return record.at(number)

        return self._write(write)

    @staticmethod
    def published_with(record: FunctionRecord, members: Mapping[str, Any]) -> tuple[FunctionRecord, FunctionRecord]:
        """For CreateFunction and UpdateFunctionCode, where ``$LATEST`` is still being prepared: what is shown, and what
        is to be saved. With ``Publish`` the former is the function as the version that settles with it.
        """
        if not members.get("Publish"):
            return record, record
        existing = unchanged_version(record)
        if existing is not None:
            return record.at(existing.version), record
        record = _published(record, None)
        return record.at(str(record.last_version)), record

    def list(self, function: FunctionArn) -> Sequence[FunctionRecord]:
        """The function as each of its versions, ``$LATEST`` first.

        Raises:
            ResourceNotFoundException: no such function.
        """
        return versions_of(self._records.get(function.unqualified))

    def delete(self, function: FunctionArn, version: str) -> None:
        """Forgets a version; harmless where there is none of this number.

        Raises:
            ResourceNotFoundException: no such function.
            ResourceConflictException: an alias refers to it.
        """

        def write() -> FunctionRecord:
            before = self._records.get(function.unqualified)
            record = without_version(before, version)
            if record is not before:
                self._records.save(record)
                self._serving.withdraw(record.arn, version)
            return record

        self._write(write)


def versions_of(record: FunctionRecord) -> Sequence[FunctionRecord]:
    """``record`` as each of its versions, ``$LATEST`` first."""
    return [record.at(version) for version in (LATEST, *record.versions)]


def _published(record: FunctionRecord, description: str | None) -> FunctionRecord:
    deployment_id, revision_id, latest_revision_id = (str(uuid4()) for _ in range(3))
    return published(
        record,
        description,
        deployment_id=deployment_id,
        revision_id=revision_id,
        latest_revision_id=latest_revision_id,
    )

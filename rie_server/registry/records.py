"""All function records, in memory and in the store, and the code they refer to.

Written by the registry's writer thread alone: first the store, then the mapping that readers see, which is replaced and
never changed, so that reading needs no lock.
"""

from collections.abc import Callable, Mapping

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function_record import FunctionRecord, from_document, to_document
from rie_server.ports import FunctionStore
from rie_server.registry.code_keeping import CodeKeeper

# So many of the functions that were deleted last are remembered.
KEPT_GONE = 1000

# Told a function, its record before (None: it is new, or was just loaded) and after (None: it is gone).
Watcher = Callable[[FunctionArn, FunctionRecord | None, FunctionRecord | None], None]


class FunctionRecords:
    """Records by unqualified ARN."""

    def __init__(self, *, store: FunctionStore, code: CodeKeeper) -> None:
        self._store = store
        self._code = code
        self._watchers: list[Watcher] = []
        self.by_arn: dict[FunctionArn, FunctionRecord] = {}
        self._gone: dict[FunctionArn, FunctionRecord] = {}

    def on_change(self, watcher: Watcher) -> None:
        """Calls ``watcher`` with every record that is loaded, and with every change, after readers see it."""
        self._watchers.append(watcher)

    def find(self, function: FunctionArn) -> FunctionRecord | None:
        """The record that ``function`` means with its qualifier. There are no versions or aliases but ``$LATEST``."""
        if function.qualifier not in {None, LATEST}:
            return None
        return self.by_arn.get(function.unqualified)

    def last_known(self, function: FunctionArn) -> FunctionRecord | None:
        """The record of ``function``, also if it was deleted since the server started: the events that it has left in
        the queue still end, and their records go where it said.
        """
        arn = function.unqualified
        return self.by_arn.get(arn) or self._gone.get(arn)  # in this order, because ``_show`` writes in the other one

    def load(self) -> None:
        """Reads everything; nothing can be running yet, so code that no record names goes at once."""
        loaded = (from_document(document) for document in self._store.load().values())
        self.by_arn = {record.arn: record for record in loaded}
        self._code.sweep(_referenced(self.by_arn), everything=True)
        for record in self.by_arn.values():
            self._tell(record.arn, None, record)

    def save(self, record: FunctionRecord) -> None:
        """Makes a record durable, then visible."""
        self.store(record)
        self.show(record)

    def store(self, record: FunctionRecord) -> None:
        """Returns when the record is durable."""
        self._store.save(str(record.arn), to_document(record))

    def show(self, record: FunctionRecord) -> None:
        """Lets readers see a record that has been stored."""
        self._show(record.arn, record)

    def delete(self, arn: FunctionArn) -> None:
        self._store.delete(str(arn))
        self._show(arn, None)

    def _show(self, arn: FunctionArn, record: FunctionRecord | None) -> None:
        before = self.by_arn.get(arn)
        records = {key: value for key, value in self.by_arn.items() if key != arn}
        if record is not None:
            records[arn] = record
        referenced = _referenced(records)
        self._remember(arn, None if record is not None else before)
        if before is not None:
            self._code.retire(before.code_digests() - referenced)
        self.by_arn = records
        self._code.sweep(referenced)
        self._tell(arn, before, record)

    def _remember(self, arn: FunctionArn, gone: FunctionRecord | None) -> None:
        """``gone`` is the last record of ``arn``; without one, there is a function of that name (again)."""
        kept = {key: value for key, value in self._gone.items() if key != arn}
        if gone is not None:
            kept[arn] = gone
        self._gone = dict(list(kept.items())[-KEPT_GONE:])

    def _tell(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        for watcher in self._watchers:
            watcher(arn, before, after)


def _referenced(records: Mapping[FunctionArn, FunctionRecord]) -> frozenset[str]:
    return frozenset().union(*(record.code_digests() for record in records.values()))

"""All function records, in memory and in the store, and the code they refer to.

Written by the registry's writer thread alone: first the store, then the mapping that readers see, which is replaced and
never changed, so that reading needs no lock.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rie_server.errors import ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_document import from_document, to_document
from rie_server.model.function_record import FunctionRecord
from rie_server.model.qualified_config import GoneFunction, from_gone_document, gone_function, to_gone_document
from rie_server.registry.code_keeping import CodeKeeper
from rie_server.registry.code_storage import CodeStorage
from rie_server.storing import FunctionStore

# So many of the functions that were deleted last are remembered, also over a restart.
KEPT_GONE = 1000
# Keys of what is left of them; a key of a function that is there is its ARN.
GONE_PREFIX = "gone "
_FUNCTION_PREFIX = "arn:"

# Told a function, its record before (None: it is new, or was just loaded) and after (None: it is gone).
Watcher = Callable[[FunctionArn, FunctionRecord | None, FunctionRecord | None], None]


class FunctionRecords:
    """Records by unqualified ARN."""

    def __init__(self, *, store: FunctionStore, code: CodeKeeper, storage: CodeStorage) -> None:
        self._store = store
        self._code = code
        self._watchers: list[Watcher] = []
        self.by_arn: dict[FunctionArn, FunctionRecord] = {}
        self._gone: dict[FunctionArn, GoneFunction] = {}
        code.hold(self._digests)
        storage.count(self._code_bytes)

    def on_change(self, watcher: Watcher) -> None:
        """Calls ``watcher`` with every record that is loaded, and with every change, after readers see it."""
        self._watchers.append(watcher)

    def find(self, function: FunctionArn) -> FunctionRecord | None:
        """The whole record of ``function``, if it has the qualifier: a version's number, an alias, ``$LATEST``."""
        record = self.by_arn.get(function.unqualified)
        if record is None or record.version_of(function.qualifier) is None:
            return None
        return record

    def get(self, function: FunctionArn) -> FunctionRecord:
        """Like ``find``.

        Raises:
            ResourceNotFoundException: no such function, or no such version or alias.
        """
        record = self.find(function)
        if record is None:
            raise ResourceNotFoundException(f"Function not found: {function}")
        return record

    def gone(self, function: FunctionArn) -> GoneFunction | None:
        """What is left of a function that was deleted, for the events that it has left in the queue. Ask for the
        function itself first, because ``_show`` writes in the other order.
        """
        return self._gone.get(function.unqualified)

    def load(self) -> None:
        """Reads everything; nothing can be running yet, so code that no record names goes at once."""
        loaded = map(from_document, self._store.load(_FUNCTION_PREFIX).values())
        self.by_arn = {record.arn: record for record in loaded}
        self._load_gone(self._store.load(GONE_PREFIX).values())
        self._code.sweep(everything=True)
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

    def create(self, record: FunctionRecord) -> None:
        """Saves a function that was not there; what was left of an earlier one of its name goes."""
        self.save(record)
        if record.arn in self._gone:
            self._store.delete(_gone_key(record.arn))
            self._gone = {arn: gone for arn, gone in self._gone.items() if arn != record.arn}

    def delete(self, arn: FunctionArn) -> None:
        """Forgets a function but for what its events need. Whatever a crash leaves of this is one or the other: a
        record counts for more than what is left of one.
        """
        order = 1 + max((gone.order for gone in self._gone.values()), default=0)
        gone = gone_function(self.by_arn[arn], order)
        self._store.save(_gone_key(arn), to_gone_document(gone))
        self._store.delete(str(arn))
        self._gone = {**self._gone, arn: gone}
        self._show(arn, None)
        for oldest in list(self._gone)[:-KEPT_GONE]:
            self._store.delete(_gone_key(oldest))
            self._gone = {arn: gone for arn, gone in self._gone.items() if arn != oldest}

    def _load_gone(self, documents: Iterable[Mapping[str, Any]]) -> None:
        gone = sorted(map(from_gone_document, documents), key=lambda one: one.order)
        self._gone = {one.arn: one for one in gone if one.arn not in self.by_arn}
        for one in gone:
            if one.arn in self.by_arn:
                self._store.delete(_gone_key(one.arn))

    def _show(self, arn: FunctionArn, record: FunctionRecord | None) -> None:
        before = self.by_arn.get(arn)
        records = {key: value for key, value in self.by_arn.items() if key != arn}
        if record is not None:
            records[arn] = record
        if before is not None:
            self._code.retire(before.code_digests() - (frozenset() if record is None else record.code_digests()))
        self.by_arn = records
        self._code.sweep()
        self._tell(arn, before, record)

    def _tell(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        for watcher in self._watchers:
            watcher(arn, before, after)

    def _digests(self) -> frozenset[str]:
        return frozenset().union(*(record.code_digests() for record in self.by_arn.values()))

    def _code_bytes(self, region: str, account: str) -> int:
        mine = (one for one in self.by_arn.values() if (one.arn.region, one.arn.account) == (region, account))
        return sum(record.code_bytes for record in mine)


def _gone_key(arn: FunctionArn) -> str:
    return f"{GONE_PREFIX}{arn}"

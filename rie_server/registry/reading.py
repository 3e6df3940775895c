"""What the registry is asked: by the engine on every invocation, and by the API.

Any thread, no lock: records and tables of versions are replaced, never changed.
"""

from collections.abc import Sequence

from rie_server.errors import LambdaError, ResourceNotFoundException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function import FunctionVersion
from rie_server.model.function_life_cycle import not_invocable
from rie_server.model.function_record import FunctionRecord
from rie_server.registry.code_keeping import CodeKeeper
from rie_server.registry.invoke_settings import InvokeSettings
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import ServingVersions


class FunctionReading:
    """The reading half of ``FunctionRegistry``, which makes these."""

    invoke_settings: InvokeSettings
    _code: CodeKeeper
    _records: FunctionRecords
    _serving: ServingVersions

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        """See ``ports.FunctionCatalog``. One lookup, no lock."""
        version = self._serving.find(function)
        if version is None:
            function, version = self._serving.choose(function)
            if version is None:
                raise self._why_not(function)
        return version

    def allows_recursion(self, function: FunctionArn) -> bool:
        return self.invoke_settings.allows_recursion(function)

    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        """See ``ports.EventInvokeConfigs``."""
        return self.invoke_settings.event_invoke_config(function)

    def get(self, function: FunctionArn) -> FunctionRecord:
        """The record of ``function``, as the version that its qualifier means.

        Raises:
            ResourceNotFoundException: no such function, or no such version or alias.
        """
        record = self._records.get(function)
        return record.at(record.version_of(function.qualifier) or LATEST)

    def has(self, function: FunctionArn) -> bool:
        """Whether there is such a function, with the qualifier that is asked for."""
        return self._records.find(function) is not None

    def list(self, *, region: str, account: str) -> Sequence[FunctionRecord]:
        """All functions of a region, by name."""
        mine = (one for one in self._records.by_arn.values() if (one.arn.region, one.arn.account) == (region, account))
        return sorted(mine, key=lambda record: record.arn.name)

    def read_code(self, token: str) -> bytes | None:
        """The zip that ``code_token`` names, if a function or a layer has it."""
        digest = self._code.digest_of(token)
        return None if digest is None else self._code.read(digest)

    def _why_not(self, function: FunctionArn) -> LambdaError:
        asked = function if function.qualifier is not None else function.qualified(LATEST)
        try:
            return not_invocable(self.get(asked))
        except ResourceNotFoundException as unknown:
            return unknown

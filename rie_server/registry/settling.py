"""Deployments on their way into service: taken up at the start, prepared, settled.

``$LATEST`` and a version that is published together with it (``Publish: true``) are one code and one configuration, so
they are prepared once and settle together. Belongs to the registry's writer thread; only preparing runs elsewhere.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from uuid import uuid4

from rie_server.model.arn import FunctionArn
from rie_server.model.function import FunctionVersion
from rie_server.model.function_life_cycle import activated, is_settled, refused
from rie_server.model.function_record import Deployment, FunctionRecord, State, runnable
from rie_server.model.version_rules import settled_version
from rie_server.registry.preparation import Preparation, Ready, Refusal
from rie_server.registry.preparers import Preparers
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import ServingVersions


class Settling:
    """
    Args:
        write: carries a change out on the writer thread and waits for it.
    """

    def __init__(
        self,
        *,
        records: FunctionRecords,
        serving: ServingVersions,
        preparation: Preparation,
        preparers: Preparers,
        write: Callable[[Callable[[], None]], None],
    ) -> None:
        self._records = records
        self._serving = serving
        self._preparation = preparation
        self._preparers = preparers
        self._write = write

    def load(self) -> None:
        """Loads every function; what served before the restart serves again, what was under way goes on."""
        self._records.load()
        for record in list(self._records.by_arn.values()):
            if record.serving is not None:
                self._take_up(record, record.serving)
            for version in record.versions:
                self._take_up_version(record.arn, version)
            self._serving.route(record.arn, record.aliases.values())
            if record.serving is None or not is_settled(record):
                self.schedule(record)

    def schedule(self, record: FunctionRecord) -> None:
        """A moment later, on a preparer's thread, ``record``'s current deployment is made ready."""

        def prepare() -> None:
            outcome = self._preparation.prepare(record.arn, record.current)
            self._write(lambda: self._settle(record.arn, record.current, outcome))

        self._preparers.schedule(record.arn, prepare)

    def _take_up(self, record: FunctionRecord, serving: Deployment) -> None:
        """What served before the restart serves again, unless this server cannot run it any more."""
        outcome = self._preparation.prepare(record.arn, serving)
        if isinstance(outcome, Ready):
            self._serving.publish(record.arn, outcome.version)
        elif is_settled(record):
            self._records.save(refused(record, outcome.reason, outcome.reason_code, revision_id=_new_id()))
        else:
            self._records.save(replace(record, serving=None))

    def _take_up_version(self, arn: FunctionArn, version: str) -> None:
        """Likewise; one that had failed is tried again, because the host may be another one now."""
        record = self._records.by_arn[arn]
        published = record.versions[version]
        if published.life.state is State.PENDING:
            return  # settles with $LATEST
        outcome = self._preparation.prepare(arn, published.deployment, version)
        if isinstance(outcome, Ready) and published.life.state is State.ACTIVE:
            self._serving.publish(arn, outcome.version)
            return
        record, runnables = self._settled_versions(record, [version], outcome)
        self._save(record, runnables)

    def _settle(self, arn: FunctionArn, deployment: Deployment, outcome: Ready | Refusal) -> None:
        record = self._records.find(arn)
        if record is None or record.current.deployment_id != deployment.deployment_id:
            return  # deleted, or created anew, while its code was being prepared
        pending = [one.version for one in record.versions.values() if one.life.state is State.PENDING]
        if isinstance(outcome, Refusal):
            record = refused(record, outcome.reason, outcome.reason_code, revision_id=_new_id())
            record, _ = self._settled_versions(record, pending, outcome)
            self._records.save(record)
            if record.serving is None:
                self._serving.withdraw(arn)
            return
        record = activated(record, outcome.deployment, revision_id=_new_id())
        record, runnables = self._settled_versions(record, pending, outcome)
        self._save(record, [outcome.version, *runnables])

    def _settled_versions(
        self, record: FunctionRecord, versions: Iterable[str], outcome: Ready | Refusal
    ) -> tuple[FunctionRecord, list[FunctionVersion]]:
        """``record`` with these versions settled, and what runs for them now."""
        runnables: list[FunctionVersion] = []
        for version in versions:
            if isinstance(outcome, Refusal):
                reason = outcome.reason, outcome.reason_code
                record = settled_version(record, version, reason, revision_id=_new_id())
                continue
            ready = replace(record.versions[version].deployment, code=outcome.deployment.code)
            record = settled_version(record, version, ready, revision_id=_new_id())
            code, layers = outcome.version.code_directory, outcome.version.layers_directory
            runnables.append(runnable(record.arn, ready, code, version, layers_directory=layers))
        return record, runnables

    def _save(self, record: FunctionRecord, runnables: Iterable[FunctionVersion]) -> None:
        self._records.store(record)
        # Published first: who sees Active may invoke at once.
        for version in runnables:
            self._serving.publish(record.arn, version)
        self._records.show(record)


def _new_id() -> str:
    return str(uuid4())

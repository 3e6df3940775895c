"""The registry: every function of this server, durable, and what each of them runs at this moment.

All changes are made by one writer thread, one after the other: it checks, stores, and only then shows the change, so
there is no lock, nothing is visible that a crash could take back, and two callers cannot both win. Readers look at
immutable records in a mapping that is replaced, never changed. A few preparer threads make code ready meanwhile.
``start`` before first use, ``close`` after the last; in between every method may be called from any thread but the
registry's own.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from rie_server.errors import ResourceConflictException
from rie_server.limits import CODE_STORAGE_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.code_signing import with_code_signing
from rie_server.model.function import FunctionVersion
from rie_server.model.function_code import code_source
from rie_server.model.function_configuration import changed_configuration, configuration_for_code, new_configuration
from rie_server.model.function_life_cycle import check_updatable, created, timestamp, updated
from rie_server.model.function_record import CodeReference, Deployment, FunctionRecord
from rie_server.model.layer import LayerReference
from rie_server.model.layer_rules import check_unzipped_size
from rie_server.model.tags import tagged, untagged
from rie_server.ports import Clock, ImagePreparer
from rie_server.registry.aliases import Aliases
from rie_server.registry.code_keeping import CodeKeeper
from rie_server.registry.code_storage import CodeStorage
from rie_server.registry.invoke_settings import InvokeSettings
from rie_server.registry.layers import Layers
from rie_server.registry.policies import Policies
from rie_server.registry.preparation import Preparation
from rie_server.registry.preparers import Preparers
from rie_server.registry.provisioned import ProvisionedSettings
from rie_server.registry.reading import FunctionReading
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import Listener, ServingVersions
from rie_server.registry.settling import Settling
from rie_server.registry.stored_resources import StoredResources
from rie_server.registry.urls import FunctionUrls
from rie_server.registry.versions import Versions
from rie_server.storing import CodeStore, FunctionStore, ObjectStorage

_T = TypeVar("_T")


class FunctionRegistry(FunctionReading):
    """Implements ``ports.FunctionCatalog`` and ``EventInvokeConfigs`` for the engine, the control plane for the API."""

    def __init__(
        self,
        *,
        store: FunctionStore,
        code: CodeStore,
        objects: ObjectStorage,
        images: ImagePreparer | None,
        supports: Callable[[FunctionVersion], str | None],
        clock: Clock,
        concurrency_limit: int,
        code_storage_bytes: int = CODE_STORAGE_BYTES,
    ) -> None:
        self.concurrency_limit = concurrency_limit
        self._clock = clock
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry-writer")
        self.storage = CodeStorage(code_storage_bytes)
        self._code = CodeKeeper(
            store=code, storage=self.storage, objects=objects, clock=clock, submit=self._writer.submit
        )
        self._preparation = Preparation(code=self._code, images=images, supports=supports)
        self._records = FunctionRecords(store=store, code=self._code, storage=self.storage)
        self.layers = Layers(store=store, code=self._code, storage=self.storage, clock=clock, write=self._write)
        self.resources = StoredResources(store=store, clock=clock, write=self._write)
        self.invoke_settings = InvokeSettings(
            records=self._records, change=self.change, clock=clock, concurrency_limit=concurrency_limit
        )
        self.provisioned = ProvisionedSettings(
            records=self._records, change=self.change, clock=clock, concurrency_limit=concurrency_limit
        )
        self._serving = ServingVersions()
        self._preparers = Preparers(clock)
        self._settling = Settling(
            records=self._records,
            serving=self._serving,
            preparation=self._preparation,
            preparers=self._preparers,
            write=self._write,
        )
        self.versions = Versions(
            records=self._records,
            serving=self._serving,
            code=self._code,
            storage=self.storage,
            write=self._write,
        )
        self.aliases = Aliases(records=self._records, serving=self._serving, change=self.change)
        self.policies = Policies(records=self._records, change=self.change)
        self.urls = FunctionUrls(records=self._records, change=self.change, clock=clock)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Loads every function; what was under way when the server ended is taken up again."""
        self._write(self.layers.load)
        self._write(self.resources.load)
        self._write(self._settling.load)

    def close(self) -> None:
        """Ends both kinds of threads; waits for a preparation that is running. What is Pending stays so."""
        self._write(self._preparers.cancel)
        self._preparers.close()
        self._writer.shutdown()

    def on_change(self, callback: Listener) -> None:
        """Calls ``callback`` on the writer thread with the function and the deployment that serves it now, or None.

        It must not block, nor call the registry back except for ``resolve`` and other reads.
        """
        self._serving.on_change(callback)

    # --- changing -----------------------------------------------------------------------------------------------------

    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord:
        """Creates a function from the members of CreateFunction; it is Pending when this returns."""
        configuration = new_configuration(function, members)
        source = code_source(members.get("PackageType", "Zip"), members["Code"], creating=True)
        tags = tagged({}, members.get("Tags", {}))
        self._refuse_existing(function)

        def write(code: CodeReference) -> FunctionRecord:
            self._refuse_existing(function)
            layers = self.layers.held_by(function, configuration.get("Layers", ()))
            self._code.check(code, function, layers)
            record = created(
                function,
                _deployment(configuration, code, layers),
                tags,
                revision_id=_new_id(),
                last_modified=timestamp(self._clock.now()),
            )
            # Numbers of an earlier function of this name are not given again.
            gone = self._records.gone(function)
            record = replace(record, last_version=0 if gone is None else gone.last_version)
            shown, record = self.versions.published_with(with_code_signing(record, members), members)
            self._records.create(record)
            self._settling.schedule(record)
            return shown

        with self._code.incoming(source, region=function.region) as code:
            return self._write(partial(write, code))

    def update_code(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord:
        """Gives a function other code. With ``DryRun`` the answer is what would be, and nothing changes."""
        known = self.get(function)
        check_updatable(known, members.get("RevisionId"))
        source = code_source(known.current.code.package_type, members, creating=False)

        def write(code: CodeReference) -> FunctionRecord:
            record = self.get(function)
            check_updatable(record, members.get("RevisionId"))
            layers = record.current.layers
            self._code.check(code, function, layers)
            configuration = configuration_for_code(record.current.configuration, members)
            if members.get("DryRun"):
                self._code.retire([code.sha256])
                return replace(record, current=replace(record.current, configuration=configuration, code=code))
            return self._update(record, _deployment(configuration, code, layers), members)

        with self._code.incoming(source, region=function.region) as code:
            return self._write(partial(write, code))

    def update_configuration(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord:
        """Changes the configuration of a function; what ``members`` does not mention stays."""

        def write() -> FunctionRecord:
            record = self.get(function)
            check_updatable(record, members.get("RevisionId"))
            current, layers = record.current, record.current.layers
            if "Layers" in members:
                layers = self.layers.held_by(record.arn, members["Layers"])
                check_unzipped_size(current.code.unzipped_bytes, layers)
            configuration = changed_configuration(record.arn, current.code.package_type, current.configuration, members)
            return self._update(record, _deployment(configuration, current.code, layers), {})

        return self._write(write)

    def delete(self, function: FunctionArn) -> None:
        """Forgets a function, in whatever state it is."""

        def write() -> None:
            record = self.get(function)
            self._records.delete(record.arn)
            self._serving.forget(record.arn)

        self._write(write)

    def tag(self, function: FunctionArn, tags: Mapping[str, str]) -> None:
        self.change(function, lambda record: replace(record, tags=tagged(record.tags, tags)))

    def untag(self, function: FunctionArn, keys: Sequence[str]) -> None:
        self.change(function, lambda record: replace(record, tags=untagged(record.tags, keys)))

    def change(self, function: FunctionArn, rule: Callable[[FunctionRecord], FunctionRecord]) -> FunctionRecord:
        """Replaces the whole record of ``function`` by what ``rule`` makes of it, on the writer thread.

        For what leaves the deployments alone. What ``rule`` raises is raised here, and nothing has changed.
        """

        def write() -> FunctionRecord:
            record = rule(self._records.get(function))
            self._records.save(record)
            return record

        return self._write(write)

    # --- on the writer thread -----------------------------------------------------------------------------------------

    def _update(self, record: FunctionRecord, deployment: Deployment, members: Mapping[str, Any]) -> FunctionRecord:
        changed = updated(record, deployment, revision_id=_new_id(), last_modified=timestamp(self._clock.now()))
        shown, changed = self.versions.published_with(changed, members)
        self._records.save(changed)
        self._settling.schedule(changed)
        return shown

    def _refuse_existing(self, function: FunctionArn) -> None:
        if function in self._records.by_arn:
            raise ResourceConflictException(f"Function already exist: {function.name}")

    def _write(self, change: Callable[[], _T]) -> _T:
        return self._writer.submit(change).result()


def _deployment(
    configuration: Mapping[str, Any], code: CodeReference, layers: tuple[LayerReference, ...]
) -> Deployment:
    return Deployment(deployment_id=_new_id(), configuration=configuration, code=code, layers=layers)


def _new_id() -> str:
    return str(uuid.uuid4())

"""Layers and their versions: published, listed, shared, deleted, and held by functions.

Changes are carried out on the registry's writer thread: first the store, then the mapping that readers see, which is
replaced and never changed. Reading needs no lock. A version that was deleted is gone from here; functions that hold it
carry what they need themselves (``model.layer.LayerReference``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_code import code_source
from rie_server.model.function_life_cycle import timestamp
from rie_server.model.function_record import CodeReference
from rie_server.model.layer import (
    Layer,
    LayerArn,
    LayerReference,
    LayerVersion,
    layer_document,
    layer_from_document,
)
from rie_server.model.layer_rules import (
    check_access,
    check_own,
    function_layers,
    layer_statement,
    new_layer_version,
)
from rie_server.model.resource_policy import ResourcePolicy, with_statement, without_statement
from rie_server.ports import Clock
from rie_server.registry.code_keeping import CodeKeeper
from rie_server.registry.code_storage import CodeStorage
from rie_server.storing import FunctionStore

# Keys of layers in the store.
PREFIX = "layer "
# What AWS tells a caller whose revision id is stale to call.
_READ_BY = "GetLayerPolicy"

_T = TypeVar("_T")


class Write(Protocol):
    """Carries a change out on the writer thread and waits for it."""

    def __call__(self, change: Callable[[], _T], /) -> _T: ...


class Layers:
    def __init__(
        self, *, store: FunctionStore, code: CodeKeeper, storage: CodeStorage, clock: Clock, write: Write
    ) -> None:
        self._store = store
        self._code = code
        self._clock = clock
        self._write = write
        self._layers: Mapping[LayerArn, Layer] = {}
        code.hold(self._digests)
        storage.count(self._code_bytes)

    def load(self) -> None:
        """Reads everything; before the functions, because what nobody is known to need is swept then."""
        loaded = map(layer_from_document, self._store.load(PREFIX).values())
        self._layers = {layer.arn: layer for layer in loaded}

    # --- reading ------------------------------------------------------------------------------------------------------

    def list(self, *, region: str, account: str) -> Sequence[Layer]:
        """The layers of a region, by name; also those whose versions are all gone."""
        mine = (one for one in self._layers.values() if (one.arn.region, one.arn.account) == (region, account))
        return sorted(mine, key=lambda layer: layer.arn.name)

    def versions(self, arn: LayerArn, *, account: str) -> Sequence[LayerVersion]:
        """The versions of a layer, the newest first; none where there is no such layer.

        Raises:
            AccessDeniedException: it is another account's.
        """
        check_own(arn, account, "ListLayerVersions")
        layer = self._layers.get(arn, Layer(arn=arn))
        return sorted(layer.versions.values(), key=lambda version: -version.version)

    def get(self, arn: LayerArn, number: int, *, account: str) -> LayerVersion:
        """
        Raises:
            InvalidParameterValueException: ``number`` is not above 0.
            ResourceNotFoundException: no such layer or version.
            AccessDeniedException: ``account`` may not read it.
        """
        _check_number(number)
        version = self._find(arn, number)
        if version is None:
            raise ResourceNotFoundException("The resource you requested does not exist.")
        check_access(version, account)
        return version

    def policy(self, arn: LayerArn, number: int, *, account: str) -> ResourcePolicy:
        """
        Raises:
            ResourceNotFoundException: no such version, or nothing is permitted.
            AccessDeniedException: the layer is another account's.
        """
        check_own(arn, account, "GetLayerVersionPolicy")
        policy = self._existing(arn, number).policy
        if policy is None:
            raise ResourceNotFoundException("No policy is associated with the given resource.")
        return policy

    def held_by(self, function: FunctionArn, layers: Sequence[str]) -> tuple[LayerReference, ...]:
        """What ``function`` holds with these ``Layers``; raises as ``model.layer_rules.function_layers`` does."""
        return function_layers(function, layers, self._find)

    # --- changing -----------------------------------------------------------------------------------------------------

    def publish(
        self, arn: LayerArn, members: Mapping[str, Any], *, account: str, only_changed: bool = False
    ) -> LayerVersion:
        """Makes a version from the members of PublishLayerVersion.

        Args:
            only_changed: gives back the newest version where that is the same already.

        Raises:
            LambdaError: in AWS's words.
        """
        check_own(arn, account, "PublishLayerVersion")
        source = code_source("Zip", members["Content"], creating=True)

        def write(code: CodeReference) -> LayerVersion:
            layer = self._layers.get(arn, Layer(arn=arn))
            version = new_layer_version(layer, members, code, created_date=timestamp(self._clock.now()))
            newest = layer.latest(runtime=None, architecture=None)
            if only_changed and newest is not None and newest.is_same_as(version):
                return newest
            self._code.check(code, arn)
            self._save(layer.with_version(version))
            return version

        with self._code.incoming(source, region=arn.region) as code:
            return self._write(partial(write, code))

    def delete(self, arn: LayerArn, number: int, *, account: str) -> None:
        """Forgets a version; harmless where there is none of this number.

        Raises:
            InvalidParameterValueException: ``number`` is not above 0.
            AccessDeniedException: the layer is another account's.
        """
        _check_number(number)
        check_own(arn, account, "DeleteLayerVersion")

        def write() -> None:
            version = self._find(arn, number)
            if version is not None:
                self._save(self._layers[arn].without_version(number))
                self._code.retire([version.sha256])

        self._write(write)

    def permit(
        self, arn: LayerArn, number: int, members: Mapping[str, Any], *, account: str
    ) -> tuple[Mapping[str, Any], str]:
        """Adds the statement that the members of AddLayerVersionPermission make; returns it, and the policy's revision.

        Raises:
            LambdaError: in AWS's words.
        """
        check_own(arn, account, "AddLayerVersionPermission")

        def write() -> tuple[Mapping[str, Any], str]:
            version = self._existing(arn, number)
            statement = layer_statement(version, members)
            revision_id = str(uuid4())
            policy = with_statement(
                version.policy, statement, members.get("RevisionId"), revision_id=revision_id, read_by=_READ_BY
            )
            self._save(self._layers[arn].with_version(replace(version, policy=policy)))
            return statement, revision_id

        return self._write(write)

    def forbid(self, arn: LayerArn, number: int, members: Mapping[str, Any], *, account: str) -> None:
        """Takes a statement away, as the members of RemoveLayerVersionPermission ask.

        Raises:
            LambdaError: in AWS's words.
        """
        check_own(arn, account, "RemoveLayerVersionPermission")
        statement_id, expected = members["StatementId"], members.get("RevisionId")

        def write() -> None:
            version = self._existing(arn, number)
            policy = without_statement(
                version.policy, statement_id, expected, revision_id=str(uuid4()), read_by=_READ_BY
            )
            self._save(self._layers[arn].with_version(replace(version, policy=policy)))

        self._write(write)

    # --- within -------------------------------------------------------------------------------------------------------

    def _find(self, arn: LayerArn, number: int) -> LayerVersion | None:
        layer = self._layers.get(arn)
        return None if layer is None else layer.versions.get(number)

    def _existing(self, arn: LayerArn, number: int) -> LayerVersion:
        version = self._find(arn, number)
        if version is None:
            raise ResourceNotFoundException(f"Layer version {arn.at(number)} does not exist.")
        return version

    def _save(self, layer: Layer) -> None:
        self._store.save(f"{PREFIX}{layer.arn}", layer_document(layer))
        self._layers = {**self._layers, layer.arn: layer}

    def _digests(self) -> frozenset[str]:
        return frozenset(version.sha256 for layer in self._layers.values() for version in layer.versions.values())

    def _code_bytes(self, region: str, account: str) -> int:
        mine = self.list(region=region, account=account)
        return sum(version.size_bytes for layer in mine for version in layer.versions.values())


def _check_number(number: int) -> None:
    if number < 1:
        raise InvalidParameterValueException("Layer Version Cannot be less than 1")

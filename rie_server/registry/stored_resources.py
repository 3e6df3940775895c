"""Code signing configurations and capacity providers: made, changed, listed, tagged, deleted.

Changes are carried out on the registry's writer thread: first the store, then the mapping that readers see, which is
replaced and never changed. Reading needs no lock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rie_server.errors import ResourceNotFoundException
from rie_server.model.code_signing import unknown_config
from rie_server.model.function_life_cycle import timestamp
from rie_server.model.stored_resource import (
    CAPACITY_PROVIDER,
    CODE_SIGNING_CONFIG,
    ResourceArn,
    StoredResource,
    resource_document,
    resource_from_document,
)
from rie_server.model.tags import tagged, untagged
from rie_server.ports import Clock
from rie_server.storing import FunctionStore

Write = Callable[[Callable[[], StoredResource]], StoredResource]
# From a resource, or None where there is none of this ARN yet, to what it is next; raises what AWS refuses.
Rule = Callable[[StoredResource | None], StoredResource]


class StoredResources:
    """
    Args:
        write: carries a change out on the registry's writer thread and waits for it.
    """

    def __init__(self, *, store: FunctionStore, clock: Clock, write: Write) -> None:
        self._store = store
        self._clock = clock
        self._write = write
        self._resources: Mapping[ResourceArn, StoredResource] = {}

    def load(self) -> None:
        """Reads everything; called once, at start."""
        for kind in (CODE_SIGNING_CONFIG, CAPACITY_PROVIDER):
            loaded = map(resource_from_document, self._store.load(f"{kind} ").values())
            self._resources = {**self._resources, **{resource.arn: resource for resource in loaded}}

    def find(self, arn: ResourceArn) -> StoredResource | None:
        return self._resources.get(arn)

    def list(self, kind: str, *, region: str, account: str) -> Sequence[StoredResource]:
        """All of one kind in a region, by name."""
        of = (kind, region, account)
        mine = (one for one in self._resources.values() if (one.arn.kind, one.arn.region, one.arn.account) == of)
        return sorted(mine, key=lambda resource: resource.arn.name)

    def change(self, arn: ResourceArn, rule: Rule) -> StoredResource:
        """Makes of a resource what ``rule`` says. What ``rule`` raises is raised here, and nothing has changed."""

        def write() -> StoredResource:
            resource = rule(self._resources.get(arn))
            self._store.save(_key(arn), resource_document(resource))
            self._resources = {**self._resources, arn: resource}
            return resource

        return self._write(write)

    def delete(self, arn: ResourceArn, check: Rule) -> StoredResource:
        """Forgets a resource, unless ``check`` raises; returns what it gave."""

        def write() -> StoredResource:
            resource = check(self._resources.get(arn))
            self._store.delete(_key(arn))
            self._resources = {key: one for key, one in self._resources.items() if key != arn}
            return resource

        return self._write(write)

    def tag(self, arn: ResourceArn, tags: Mapping[str, str]) -> None:
        """
        Raises:
            ResourceNotFoundException: there is no such resource.
            InvalidParameterValueException: more tags than AWS allows.
        """
        self.change(arn, lambda found: _with_tags(arn, found, lambda present: tagged(present, tags)))

    def untag(self, arn: ResourceArn, keys: Sequence[str]) -> None:
        """
        Raises:
            ResourceNotFoundException: there is no such resource.
        """
        self.change(arn, lambda found: _with_tags(arn, found, lambda present: untagged(present, keys)))

    def get(self, arn: ResourceArn) -> StoredResource:
        """
        Raises:
            ResourceNotFoundException: there is no such resource.
        """
        return existing(arn, self.find(arn))

    def now(self) -> str:
        """``LastModified`` of what changes now."""
        return timestamp(self._clock.now())


def existing(arn: ResourceArn, found: StoredResource | None) -> StoredResource:
    """``found``, if anything was.

    Raises:
        ResourceNotFoundException: in AWS's words for the kind of ``arn``.
    """
    if found is None:
        raise unknown_resource(arn)
    return found


def unknown_resource(arn: ResourceArn) -> ResourceNotFoundException:
    """What AWS says about one that is not there."""
    if arn.kind == CODE_SIGNING_CONFIG:
        return unknown_config(arn)
    return ResourceNotFoundException(f"Capacity provider not found: {arn}")


def _with_tags(
    arn: ResourceArn, found: StoredResource | None, rule: Callable[[Mapping[str, str]], Mapping[str, str]]
) -> StoredResource:
    resource = existing(arn, found)
    return replace(resource, tags=rule(resource.tags))


def _key(arn: ResourceArn) -> str:
    return f"{arn.kind} {arn}"

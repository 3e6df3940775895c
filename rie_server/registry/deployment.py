"""Deploys the functions of a SAM template when the server starts.

Idempotent: only what differs is created or updated; functions that the template does not name are left alone. Quick:
code is zipped and compared in memory, all functions are handed to the registry first and awaited together, for a
moment only; what takes longer (an image that must be pulled) goes on behind the running server. A template with a
mistake stops the start; a function that cannot run on this machine does not, it is skipped with its reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rie_server.errors import ConfigurationError, LambdaError
from rie_server.model.arn import FunctionArn
from rie_server.model.deployment import Create, Replace, Update, code_sha256, plan
from rie_server.model.destination_arn import check_destinations
from rie_server.model.function import FunctionVersion
from rie_server.model.function_code import code_source
from rie_server.model.function_configuration import new_configuration
from rie_server.model.function_life_cycle import is_settled
from rie_server.model.function_record import CodeReference, Deployment, FunctionRecord, State, UpdateStatus, runnable
from rie_server.model.template import TemplateFunction, template_functions
from rie_server.model.template_code import RemoteCode
from rie_server.model.template_layers import with_published
from rie_server.ports import Clock
from rie_server.registry.deployed_function import DeployedFunction
from rie_server.registry.deployed_settings import SettingsControl, apply_settings
from rie_server.registry.deployed_versions import AliasControl, DeployedVersions, ProvisionedControl, VersionControl
from rie_server.registry.packaging import package

WAIT_SECONDS = 0.5
"""The server must answer within a second of its start."""

_POLL_SECONDS = 0.002


class FunctionControl(Protocol):
    """The part of the registry that a deployment needs (``FunctionRegistry``)."""

    def get(self, function: FunctionArn) -> FunctionRecord: ...
    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord: ...
    def update_code(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord: ...
    def update_configuration(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord: ...
    def delete(self, function: FunctionArn) -> None: ...
    @property
    def invoke_settings(self) -> SettingsControl: ...
    @property
    def versions(self) -> VersionControl: ...
    @property
    def aliases(self) -> AliasControl: ...

    @property
    def provisioned(self) -> ProvisionedControl: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A function of the template, checked and with its code in hand."""

    arn: FunctionArn
    template: TemplateFunction
    configuration: Mapping[str, Any]
    code_members: Mapping[str, Any]
    code: CodeReference

    @property
    def is_in_s3(self) -> bool:
        return "S3Key" in self.code_members

    @property
    def publishes_image(self) -> bool:
        """A version is published together with the function: nobody waits here for an image to be pulled."""
        return self.template.versions.publishes and self.code.package_type == "Image"

    def with_layers(self, published: Mapping[str, str]) -> "_Wanted":
        """What is wanted, with layers of the template that have been published."""
        template = replace(self.template, members=with_published(self.template.members, published))
        return replace(self, template=template, configuration=with_published(self.configuration, published))

    def version(self) -> FunctionVersion:
        """Enough of a FunctionVersion to ask whether an executor can run it."""
        return runnable(self.arn, Deployment(deployment_id="", configuration=self.configuration, code=self.code), None)


def deploy_template(
    path: Path,
    *,
    registry: FunctionControl,
    supports: Callable[[FunctionVersion], str | None],
    clock: Clock,
    region: str,
    account_id: str,
    wait_seconds: float = WAIT_SECONDS,
    publish_layers: Callable[[], Mapping[str, str]] = dict,
) -> Sequence[DeployedFunction]:
    """Makes the registry's functions what the template at ``path`` says; one result per function, in its order.

    Args:
        supports: the executors' answer for a function: None, or why it cannot run here.
        wait_seconds: how long to wait, in all, until the functions are Active.
        publish_layers: called when everything has been checked; gives layers' ARNs by their placeholders.

    Raises:
        ConfigurationError: one line about what is wrong with the template. Nothing has been deployed then.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(f"{path} cannot be read: {unreadable}.") from None
    found = template_functions(text, path=path, region=region, account_id=account_id)
    wanted = [_checked(function, path, region, account_id) for function in found]
    published_layers = publish_layers()
    wanted = [one.with_layers(published_layers) for one in wanted]
    deadline = clock.monotonic() + wait_seconds
    rollout = _Rollout(registry=registry, supports=supports, clock=clock, deadline=deadline)
    begun = [rollout.begin(one) for one in wanted]
    published = [rollout.publish(one, action) for one, action in zip(wanted, begun, strict=True)]
    actions = rollout.configure(wanted, published)
    return tuple(rollout.finish(one, action) for one, action in zip(wanted, actions, strict=True))


def _checked(function: TemplateFunction, path: Path, region: str, account_id: str) -> _Wanted:
    arn = FunctionArn(region=region, account=account_id, name=function.name)
    try:
        code = _code_members(function)
        code_source(function.members["PackageType"], code, creating=True)
        configuration = new_configuration(arn, function.members)
        _check_destinations(arn, function)
    except (ConfigurationError, LambdaError) as wrong:
        raise ConfigurationError(f"{path}: {function.logical_id}: {str(wrong).rstrip('.')}.") from None
    return _Wanted(
        arn=arn,
        template=function,
        configuration=configuration,
        code_members=code,
        code=CodeReference(
            package_type=function.members["PackageType"],
            sha256=code_sha256(code["ZipFile"]) if "ZipFile" in code else "",
            size_bytes=len(code.get("ZipFile", b"")),
            image_uri=code.get("ImageUri"),
        ),
    )


def _check_destinations(arn: FunctionArn, function: TemplateFunction) -> None:
    """All but whether a function that is a destination exists: it may be deployed a moment later."""
    for members in (function.invocation.event_invoke, *function.invocation.qualified.values()):
        destinations = members.get("DestinationConfig", {})
        on_success, on_failure = (destinations.get(kind, {}).get("Destination") for kind in ("OnSuccess", "OnFailure"))
        check_destinations(arn, on_success=on_success, on_failure=on_failure, function_exists=lambda _: True)


def _code_members(function: TemplateFunction) -> dict[str, Any]:
    if isinstance(function.code, RemoteCode):
        return dict(function.code.members)
    return {"ZipFile": package(function.code)}


class _Rollout:
    """One deployment under way. Used by one thread."""

    def __init__(
        self,
        *,
        registry: FunctionControl,
        supports: Callable[[FunctionVersion], str | None],
        clock: Clock,
        deadline: float,
    ) -> None:
        self._registry = registry
        self._supports = supports
        self._clock = clock
        self._deadline = deadline

    def begin(self, wanted: _Wanted) -> DeployedFunction:
        """Hands a function to the registry, which goes on by itself."""
        name, ignored = wanted.template.name, wanted.template.ignored
        obstacle = self._supports(wanted.version())
        if obstacle is not None:
            return DeployedFunction(name=name, action="skipped", reason=obstacle, ignored=ignored)
        try:
            return DeployedFunction(name=name, action=self._carry_out(wanted), ignored=ignored)
        except LambdaError as refused:
            return DeployedFunction(name=name, action="failed", reason=refused.message, ignored=ignored)

    def publish(self, wanted: _Wanted, begun: DeployedFunction) -> DeployedFunction:
        """Publishes a version of the function and sets its aliases, where the template asks for that."""
        versions = wanted.template.versions
        if not begun.is_ready or not (versions.publishes or versions.aliases):
            return begun
        record = self._settled(wanted.arn)
        if record is None:
            return begun
        control = DeployedVersions(
            versions=self._registry.versions, aliases=self._registry.aliases, provisioned=self._registry.provisioned
        )
        has_changed, refused = control.apply(record, versions)
        return _with(begun, has_changed=has_changed, refused=refused)

    def configure(self, wanted: Sequence[_Wanted], begun: Sequence[DeployedFunction]) -> list[DeployedFunction]:
        """Sets how the functions are invoked, once all of them are there: one may be another's destination."""
        configured = list(begun)
        # Who gives executions back comes before who reserves them.
        for number in sorted(range(len(wanted)), key=lambda number: self._gain(wanted[number])):
            if begun[number].is_ready:
                configured[number] = self._configured(wanted[number], begun[number])
        return configured

    def finish(self, wanted: _Wanted, begun: DeployedFunction) -> DeployedFunction:
        """Waits until the function is settled or time is up, and says why if it is not ready."""
        if not begun.is_ready:
            return begun
        record = self._settled(wanted.arn)
        if record is None:
            reason: str | None = "it was deleted meanwhile"
        elif not is_settled(record):
            reason = "still being prepared"
        elif record.life.state is State.FAILED:
            reason = record.life.state_reason or "it is Failed"
        elif record.life.update_status is UpdateStatus.FAILED:
            reason = record.life.update_reason or "its update failed"
        else:
            reason = None
        return replace(begun, reason=reason)

    def _gain(self, wanted: _Wanted) -> int:
        """How many more executions are reserved for a function than before."""
        record = self._found(wanted.arn)
        present = None if record is None else record.reserved_concurrency
        return (wanted.template.invocation.reserved_concurrency or 0) - (present or 0)

    def _configured(self, wanted: _Wanted, begun: DeployedFunction) -> DeployedFunction:
        record = self._found(wanted.arn)
        if record is None:
            return begun
        update, refused = apply_settings(record, wanted.template.invocation, self._registry.invoke_settings)
        return _with(begun, has_changed=update.is_any and refused is None, refused=refused)

    def _found(self, arn: FunctionArn) -> FunctionRecord | None:
        try:
            return self._registry.get(arn)
        except LambdaError:
            return None

    def _carry_out(self, wanted: _Wanted) -> str:
        existing = self._settled(wanted.arn)
        code = wanted.code
        if existing is not None and wanted.is_in_s3 and existing.current.code.package_type == "Zip":
            # Only S3 knows what lies there now.
            code = self._registry.update_code(wanted.arn, {**wanted.code_members, "DryRun": True}).current.code
        decision = plan(existing, package_type=code.package_type, configuration=wanted.configuration, code=code)
        if isinstance(decision, Update):
            return self._update(wanted, decision)
        if isinstance(decision, Replace):
            self._registry.delete(wanted.arn)
        self._registry.create(
            wanted.arn, {**wanted.template.members, "Code": wanted.code_members, "Publish": wanted.publishes_image}
        )
        return "created" if isinstance(decision, Create) else "replaced"

    def _update(self, wanted: _Wanted, update: Update) -> str:
        if update.configuration:
            self._registry.update_configuration(wanted.arn, update.configuration)
        if update.code:
            if update.configuration:
                self._settled(wanted.arn)
            architectures = {"Architectures": wanted.configuration["Architectures"]}
            code = {**wanted.code_members, **architectures, "Publish": wanted.publishes_image}
            self._registry.update_code(wanted.arn, code)
        return "updated" if update.code or update.configuration else "unchanged"

    def _settled(self, arn: FunctionArn) -> FunctionRecord | None:
        """The function's record once nothing is under way, or when time is up; None when there is no such function."""
        while True:
            record = self._found(arn)
            if record is None or is_settled(record) or self._clock.monotonic() >= self._deadline:
                return record
            self._clock.sleep(_POLL_SECONDS)


def _with(begun: DeployedFunction, *, has_changed: bool, refused: str | None) -> DeployedFunction:
    action = "updated" if begun.action == "unchanged" and has_changed else begun.action
    return replace(begun, action=action, refused=" ".join(filter(None, (begun.refused, refused))) or None)

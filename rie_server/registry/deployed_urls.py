"""Gives functions that were deployed from a template the URLs that it names.

Idempotent: a URL is made once, keeps its address from then on, and is updated where something differs; URLs that the
template does not name stay. A mistake in the template stops the start; a function that is not there does not: its URL
is skipped, with the reason. Used by one thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from rie_server.errors import ConfigurationError, LambdaError, ResourceNotFoundException
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.function_url import FunctionUrl, InvokeMode, address
from rie_server.model.resource_policy import ResourcePolicy
from rie_server.model.template_urls import TemplateUrl, template_urls

# From the members of a request as JSON has them to those that AWS's service model allows.
Checked = Callable[[Mapping[str, Any]], Mapping[str, Any]]

# What SAM adds to a URL of AuthType NONE.
_OPEN: Final[Mapping[str, Any]] = {
    "StatementId": "FunctionURLPublicPermissions",
    "Action": "lambda:InvokeFunctionUrl",
    "Principal": "*",
    "FunctionUrlAuthType": "NONE",
}


class UrlControl(Protocol):
    """The part of ``registry.urls.FunctionUrls`` that a deployment needs."""

    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionUrl: ...
    def update(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionUrl: ...
    def get(self, function: FunctionArn) -> FunctionUrl: ...


class PolicyControl(Protocol):
    """The part of ``registry.policies.Policies`` that a deployment needs."""

    def find(self, function: FunctionArn) -> ResourcePolicy | None: ...
    def add(self, function: FunctionArn, members: Mapping[str, Any]) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedUrl:
    """A URL of the template, checked."""

    template: TemplateUrl
    function: FunctionArn
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedUrl:
    """What became of one URL of the template.

    Attributes:
        action: ``created``, ``updated``, ``unchanged`` or ``skipped``.
        address: where it is called; None where it was skipped.
        reason: why it was skipped.
    """

    name: str
    action: str
    address: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return f"URL of {self.name}: {self.action}: {self.address or self.reason}"


def read_urls(path: Path, *, checked: Checked, region: str, account_id: str) -> Sequence[WantedUrl]:
    """The URLs of the template at ``path``.

    Raises:
        ConfigurationError: one line about what is wrong with the template.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(f"{path} cannot be read: {unreadable}.") from None
    found = template_urls(text, path=path, region=region, account_id=account_id)
    wanted = []
    for url in found:
        try:
            members = checked(url.members)
            function = parse_function_reference(
                members["FunctionName"], qualifier=members.get("Qualifier"), region=region, account=account_id
            )
        except LambdaError as wrong:
            raise ConfigurationError(f"{path}: {url.name}: {wrong.message.rstrip('.')}.") from None
        wanted.append(WantedUrl(template=url, function=function, members=members))
    return wanted


def deploy_urls(
    wanted: Sequence[WantedUrl], *, urls: UrlControl, policies: PolicyControl, base_url: str
) -> Sequence[DeployedUrl]:
    """Makes the functions' URLs what ``wanted`` says, once the functions are there; one result each."""
    return [_deploy(one, urls, policies, base_url) for one in wanted]


def _deploy(wanted: WantedUrl, urls: UrlControl, policies: PolicyControl, base_url: str) -> DeployedUrl:
    try:
        action, url = _make(wanted, urls)
        if wanted.template.opens:
            _open(wanted.function, policies)
    except LambdaError as refused:
        return DeployedUrl(name=wanted.template.name, action="skipped", reason=refused.message)
    where = address(url.url_id, wanted.function.region, base_url)
    return DeployedUrl(name=wanted.template.name, action=action, address=where)


def _make(wanted: WantedUrl, urls: UrlControl) -> tuple[str, FunctionUrl]:
    members = {
        "AuthType": wanted.members["AuthType"],
        "InvokeMode": wanted.members.get("InvokeMode", InvokeMode.BUFFERED),
        "Cors": wanted.members.get("Cors") or {},
    }
    try:
        present = urls.get(wanted.function)
    except ResourceNotFoundException:
        return "created", urls.create(wanted.function, wanted.members)
    if (present.auth_type, present.invoke_mode, present.cors or {}) == tuple(members.values()):
        return "unchanged", present
    return "updated", urls.update(wanted.function, members)


def _open(function: FunctionArn, policies: PolicyControl) -> None:
    policy = policies.find(function)
    if policy is None or not any(one.get("Sid") == _OPEN["StatementId"] for one in policy.statements):
        policies.add(function, _OPEN)

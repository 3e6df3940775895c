"""Code signing configurations: what AWS fills in, and what it says when one is not there.

Pure. They are kept and shown; nobody's signature is checked, whatever their policy says.
"""

from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import CodeSigningConfigNotFoundException, ResourceNotFoundException
from rie_server.model.function_record import FunctionRecord
from rie_server.model.stored_resource import StoredResource

ID_CHARACTERS: Final = 17
# Under which name a function's configuration is among its stored settings.
SETTING: Final = "CodeSigningConfig"

_CHANGEABLE: Final = ("Description", "AllowedPublishers", "CodeSigningPolicies")
_DEFAULTS: Final[Mapping[str, Any]] = {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}}


def code_signing_members(before: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept after the members of Create- or UpdateCodeSigningConfig; what is not mentioned stays."""
    return {**_DEFAULTS, **before, **{name: members[name] for name in _CHANGEABLE if name in members}}


def with_code_signing(record: FunctionRecord, members: Mapping[str, Any]) -> FunctionRecord:
    """A new function with the configuration that the members of CreateFunction name, if any."""
    arn = members.get("CodeSigningConfigArn")
    return record if arn is None else record.with_stored_setting(SETTING, "", {"CodeSigningConfigArn": arn})


def describe_code_signing(config: StoredResource) -> dict[str, Any]:
    """``CodeSigningConfig``."""
    return {
        "CodeSigningConfigId": config.arn.name,
        "CodeSigningConfigArn": str(config.arn),
        "LastModified": config.last_modified,
        **config.members,
    }


def unknown_config(arn: object) -> ResourceNotFoundException:
    """For operations on configurations themselves."""
    return ResourceNotFoundException(f"The Lambda code signing configuration {arn} can not be found.")


def unknown_function_config(arn: object) -> CodeSigningConfigNotFoundException:
    """For functions that are to have one."""
    return CodeSigningConfigNotFoundException(
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
    )

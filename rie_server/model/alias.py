"""An alias: a name for a version of a function, or for two of them that share its invocations.

Pure data, and how the API shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rie_server.model.arn import FunctionArn


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """
    Attributes:
        version: a number or ``$LATEST``.
        additional_weights: another version (one at most), and the share of invocations that it gets, from 0.0 to 1.0.
    """

    name: str
    version: str
    description: str
    revision_id: str
    additional_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every version that the alias refers to."""
        return (self.version, *self.additional_weights)


def describe_alias(function: FunctionArn, alias: Alias) -> dict[str, Any]:
    """``AliasConfiguration``; there is a RoutingConfig only where there are weights."""
    weights = dict(alias.additional_weights)
    return {
        "AliasArn": str(function.qualified(alias.name)),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RoutingConfig": {"AdditionalVersionWeights": weights} if weights else None,
        "RevisionId": alias.revision_id,
    }

"""What became of one function of a template, for a person. Pure data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedFunction:
    """What became of one function of the template.

    Attributes:
        action: ``created``, ``updated``, ``replaced``, ``unchanged``, ``skipped`` or ``failed``.
        reason: why it was skipped, has failed, or is not ready yet.
        refused: why some setting of its invocation is not as the template says; the function runs nevertheless.
        ignored: properties of the template that this server does not carry out.
    """

    name: str
    action: str
    reason: str | None = None
    refused: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.reason is None

    def __str__(self) -> str:
        line = f"{self.name}: {self.action}"
        if self.reason is not None:
            line += f": {self.reason}" if self.action in ("skipped", "failed") else f", not ready: {self.reason}"
        if self.refused is not None:
            line += f", but: {self.refused}"
        return f"{line} [not carried out: {', '.join(self.ignored)}]" if self.ignored else line

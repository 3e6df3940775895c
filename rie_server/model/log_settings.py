"""How a function wants its log: ``LoggingConfig`` without the group, and what its levels let through.

Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SYNONYMS: Final = {"WARNING": "WARN", "CRITICAL": "FATAL", "NOTSET": "TRACE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """``LogFormat``, ``ApplicationLogLevel`` (TRACE to FATAL) and ``SystemLogLevel`` (DEBUG, INFO, WARN); the levels
    count in JSON alone.
    """

    is_json: bool = False
    application_level: str = "INFO"
    system_level: str = "INFO"

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "LogSettings":
        """From ``LoggingConfig`` as it is stored."""
        return cls(
            is_json=configuration.get("LogFormat") == "JSON",
            application_level=configuration.get("ApplicationLogLevel", "INFO"),
            system_level=configuration.get("SystemLogLevel", "INFO"),
        )

    def takes_system(self, level: str) -> bool:
        return is_at_least(level, self.system_level)

    def takes_output(self, line: str) -> bool:
        """Whether a line of the function passes: a JSON object by its ``level``, any other text as INFO."""
        return self.takes_application(_level_of(line))

    def takes_application(self, level: str) -> bool:
        """Whether a record of the function passes that has a level."""
        return is_at_least(level, self.application_level)


def is_at_least(level: str, threshold: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index(threshold)


def _level_of(line: str) -> str:
    if not line.startswith("{"):
        return "INFO"
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return "INFO"
    given = str(document.get("level", "INFO")).upper()
    level = _SYNONYMS.get(given, given)
    return level if level in LEVELS else "INFO"

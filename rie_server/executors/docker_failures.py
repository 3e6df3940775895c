"""What an engine's refusals mean in AWS's words. Pure."""

import re

from rie_server.errors import EnvironmentStartError

_EXEC = re.compile(r'exec: "(?P<program>[^"]*)": (?P<words>.+?)(?:: unknown|"|$)')
_CHDIR = re.compile(r'chdir to cwd \("(?P<folder>[^"]*)"\)')
_MKDIR = re.compile(r"Cannot mkdir: (?P<folder>.+) is not a directory")


_INIT = re.compile(r"\[FATAL tini \(\d+\)\] exec (?P<program>.+) failed: (?P<words>.+)")


def init_refusal(line: str) -> str | None:
    """AWS's words for what the engine's init says when it cannot start the command; None for anything else."""
    match = _INIT.fullmatch(line.rstrip())
    if match is None:
        return None
    program, words = match["program"], match["words"].lower()
    if "/" not in program and words == "no such file or directory":
        words = "executable file not found in $PATH"
    return f"fork/exec {program}: {words}"


def start_failure(explanation: str) -> EnvironmentStartError:
    """For a container that was created and cannot start, or cannot even be created."""
    if (match := _CHDIR.search(explanation)) is not None:
        return EnvironmentStartError("Runtime.InvalidWorkingDir", f"chdir {match['folder']}: no such file or directory")
    if (match := _MKDIR.search(explanation)) is not None:
        return EnvironmentStartError("Runtime.InvalidWorkingDir", f"chdir {match['folder']}: not a directory")
    if "docker-init" in explanation:
        words = "the engine has no init of its own: install docker-init, which most packages call tini"
        return EnvironmentStartError("Sandbox.Failure", words)
    if (match := _EXEC.search(explanation)) is not None:
        words = match["words"].removeprefix(f"stat {match['program']}: ")
        return EnvironmentStartError("Runtime.InvalidEntrypoint", f"fork/exec {match['program']}: {words}")
    if "exec format error" in explanation:
        return EnvironmentStartError("Runtime.InvalidEntrypoint", "exec format error")
    if "no command specified" in explanation.lower():
        return EnvironmentStartError("Runtime.InvalidEntrypoint", "the image has neither an entry point nor a command")
    return EnvironmentStartError("Sandbox.Failure", f"the container could not be started: {explanation}")


def missing_image(image: str, explanation: str = "") -> EnvironmentStartError:
    because = f" ({explanation})" if explanation else ""
    return EnvironmentStartError(
        "InvalidImage", f"Source image {image} does not exist. Provide a valid source image.{because}"
    )

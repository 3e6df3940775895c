"""The variables of a process environment: AWS's, with its paths turned into those of this machine. Pure.

``/var/task`` does not exist outside a container, and a search path must not lead to AWS's folders: the interpreter and
its libraries are this machine's.
"""

from collections.abc import Mapping
from pathlib import Path

_TASK_ROOT = "/var/task"
_AWS_FOLDERS = ("/var/runtime", "/var/lang", "/opt")
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def process_variables(
    variables: Mapping[str, str],
    *,
    code_directory: Path,
    interpreter: str | None,
    temporary_files: Path,
    runtime_api: str,
) -> dict[str, str]:
    """The complete environment of the runtime process. What AWS sets is kept unless it names a folder of AWS's."""
    code = str(code_directory)
    result = dict(variables)
    for name in ("LAMBDA_TASK_ROOT", "PWD"):
        if name in result:
            result[name] = _here(result[name], code)
    search = _parts(result.get("PATH", _SYSTEM_PATH), code)
    if interpreter is not None:
        search.insert(0, str(Path(interpreter).parent))
    result["PATH"] = ":".join(search)
    python_path = _parts(result.get("PYTHONPATH", ""), code)
    result["PYTHONPATH"] = ":".join([code, *(part for part in python_path if part != code)])
    # The loader knows its own folders; every further one costs a search per library.
    libraries = [part for part in _parts(result.get("LD_LIBRARY_PATH", ""), code) if part.startswith(code)]
    if libraries:
        result["LD_LIBRARY_PATH"] = ":".join(libraries)
    else:
        result.pop("LD_LIBRARY_PATH", None)
    result["TMPDIR"] = str(temporary_files)
    result["AWS_LAMBDA_RUNTIME_API"] = runtime_api
    return result


def _parts(value: str, code: str) -> list[str]:
    parts = (part for part in value.split(":") if part)
    return [_here(part, code) for part in parts if not _is_aws_folder(part)]


def _is_aws_folder(path: str) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in _AWS_FOLDERS)


def _here(path: str, code: str) -> str:
    if path == _TASK_ROOT or path.startswith(_TASK_ROOT + "/"):
        return code + path[len(_TASK_ROOT) :]
    return path

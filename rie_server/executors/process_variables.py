"""The variables of a process environment: AWS's, with its paths turned into those of this machine. Pure.

``/var/task`` does not exist outside a container, and a search path must not lead to AWS's folders: the interpreter and
its libraries are this machine's. ``/opt`` is where the layers are: itself, where they are mounted there, else their
folder; search paths lead there as on AWS, and no other value is touched.
"""

from collections.abc import Mapping
from pathlib import Path

_TASK_ROOT = "/var/task"
_AWS_FOLDERS = ("/var/runtime", "/var/lang")
_LAYERS_ROOT = "/opt"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def process_variables(
    variables: Mapping[str, str],
    *,
    code_directory: Path,
    interpreter: str | None,
    temporary_files: Path,
    runtime_api: str,
    layers: Path | None = None,
    runtime: str = "",
) -> dict[str, str]:
    """The complete environment of the runtime process. What AWS sets is kept unless it names a folder of AWS's.

    Args:
        layers: where the process sees its layers; None without any.
        runtime: ``python3.12``, ...: layers have folders for each.
    """
    code, opt = str(code_directory), None if layers is None else str(layers)
    result = dict(variables)
    for name in ("LAMBDA_TASK_ROOT", "PWD"):
        if name in result:
            result[name] = _here(result[name], code)
    search = _parts(result.get("PATH", _SYSTEM_PATH), code, opt)
    if interpreter is not None:
        search.insert(0, str(Path(interpreter).parent))
    result["PATH"] = ":".join(search)
    python_path = _parts(result.get("PYTHONPATH", ""), code, opt)
    of_layers = [] if opt is None else layer_python_path(opt, runtime)
    result["PYTHONPATH"] = ":".join([code, *of_layers, *(part for part in python_path if part != code)])
    # The loader knows its own folders; every further one costs a search per library.
    own = (code,) if opt is None else (code, opt)
    libraries = [part for part in _parts(result.get("LD_LIBRARY_PATH", ""), code, opt) if part.startswith(own)]
    if libraries:
        result["LD_LIBRARY_PATH"] = ":".join(libraries)
    else:
        result.pop("LD_LIBRARY_PATH", None)
    if opt not in {None, _LAYERS_ROOT}:
        result["NODE_PATH"] = ":".join(filter(None, (f"{opt}/nodejs/node_modules", result.get("NODE_PATH"))))
    result["TMPDIR"] = str(temporary_files)
    result["AWS_LAMBDA_RUNTIME_API"] = runtime_api
    return result


def layer_python_path(root: str, runtime: str) -> list[str]:
    """Where Python looks for modules in layers that are seen at ``root``, in AWS's order."""
    versioned = [f"{root}/python/lib/{runtime}/site-packages"] if runtime.startswith("python") else []
    return [*versioned, f"{root}/python"]


def _parts(value: str, code: str, opt: str | None) -> list[str]:
    parts = [part for part in value.split(":") if part and not _is_below(part, _AWS_FOLDERS)]
    if opt is None:
        return [_here(part, code) for part in parts if not _is_below(part, (_LAYERS_ROOT,))]
    return [
        opt + part[len(_LAYERS_ROOT) :] if _is_below(part, (_LAYERS_ROOT,)) else _here(part, code) for part in parts
    ]


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _here(path: str, code: str) -> str:
    if path == _TASK_ROOT or path.startswith(_TASK_ROOT + "/"):
        return code + path[len(_TASK_ROOT) :]
    return path

"""How a process sees its layers: at ``/opt``, where this machine lets the server mount, else in a folder of ours.

A mount is private to the environment: a mount namespace of its own, in which the layers' folder lies read-only over
``/opt``; it goes with the environment's last process, so nothing is left over. It takes root, the commands ``unshare``
and ``mount``, and a kernel that allows it. What the process needs itself must not lie below ``/opt``, because nothing
else is seen there any more. Thread-safe; looks once.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

LAYERS_ROOT = Path("/opt")

# $0 is the layers' folder, $1 the hosts file, the rest what is to run; ``exec`` keeps it the process that was started.
# A machine without a hosts file of its own has nothing to lay it over.
_SCRIPT = (
    'mount -o bind,ro "$0" /opt && { mount -o bind,ro "$1" /etc/hosts 2>/dev/null || true; } && shift && exec "$@"'
)
_PROBE = 'mount -o bind,ro "$0" /opt && [ -e /opt/seen ] && ! touch /opt/written 2>/dev/null'
_PROBE_SECONDS = 10


class LayerMounts:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = False
        self._start: list[str] = []

    def prefix(self, layers: Path, needed: Sequence[Path], *, hosts: Path) -> list[str]:
        """The start of a command line whose process sees ``layers`` at ``/opt``; empty where that cannot be.

        Args:
            needed: what the process must go on to see.
            hosts: what it sees as ``/etc/hosts``.
        """
        own = (*needed, layers, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve())
        if any(path.is_relative_to(LAYERS_ROOT) for path in own):
            return []
        with self._lock:
            if not self._looked:
                self._looked = True
                self._start = _look()
                if not self._start:
                    log.info("layers cannot be mounted here: processes find them by their search paths, not at /opt")
            start = self._start
        return [*start, _SCRIPT, str(layers), str(hosts)] if start else []


def _look() -> list[str]:
    unshare, shell = shutil.which("unshare"), shutil.which("sh")
    if os.geteuid() != 0 or not LAYERS_ROOT.is_dir() or unshare is None or shell is None:
        return []
    start = [unshare, "--mount", "--propagation", "private", shell, "-c"]
    with tempfile.TemporaryDirectory(prefix="rie-layers-") as folder:
        (Path(folder) / "seen").touch()
        try:
            probe = subprocess.run(  # noqa: S603 -- commands of this machine's own
                [*start, _PROBE, folder],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_PROBE_SECONDS,
            )
        except (OSError, subprocess.SubprocessError):
            return []
    return start if probe.returncode == 0 else []

"""The machine a run was made on, in terms that say something elsewhere: no names, no addresses, no paths."""

import os
import platform
from importlib import metadata
from pathlib import Path

BUSY_LOAD = 0.5
PACKAGES = ("awslambdaric", "uvloop", "httptools", "gunicorn", "Flask", "boto3", "moto")


def describe_machine() -> dict[str, str]:
    """Words for a table; every value is text."""
    load = os.getloadavg()
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "Kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, {platform.machine()}",
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES),
        "Load before the run": f"{load[0]:.2f}",
    }


def is_busy() -> bool:
    """Whether somebody else uses this machine so much that figures suffer, those under load above all."""
    return os.getloadavg()[0] > BUSY_LOAD


def _processor() -> str:
    """What /proc/cpuinfo calls the processor, with its family, where a virtual machine hides the model."""
    fields = dict[str, str]()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    family = fields.get("cpu family")
    return f"{name} (family {family})" if family else name

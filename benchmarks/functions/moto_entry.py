"""A container's entry point as moto wants it: runs a handler with an event once and prints the answer as its last line.

``python3 moto_entry.py HANDLER EVENT``. It does less than the images that moto asks registries for: there is no Runtime
API and no runtime interface client between it and the handler. Standard library only.
"""

import importlib
import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, "/var/task")
    module, _, name = sys.argv[1].rpartition(".")
    print(json.dumps(getattr(importlib.import_module(module), name)(json.loads(sys.argv[2]), None)))

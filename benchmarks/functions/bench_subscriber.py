"""The function of ``bench_extension`` whose extension also subscribes to telemetry, and throws away what it gets."""

import http.client
import json
import os
import socket
import threading
from typing import Any

import bench_extension

hello = bench_extension.hello


def _swallow(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(65_536):
                pass


def _subscribe() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_swallow, args=(listener,), name="telemetry", daemon=True).start()
    request: dict[str, Any] = {
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function"],
        "destination": {"protocol": "TCP", "port": listener.getsockname()[1]},
    }
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request("PUT", "/2022-07-01/telemetry", json.dumps(request).encode(), bench_extension.HEADERS)
    if connection.getresponse().status != 200:
        raise RuntimeError("the subscription was refused")


_subscribe()

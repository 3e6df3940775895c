"""A custom runtime that streams: the time of its first write, then as many bytes as its event says.

Bare sockets and nothing else, so that it is not what is measured. ``benchmarks/bare_stream.py`` sends the same.
"""

import http.client
import json
import os
import socket
import time

PIECE = b"x" * 65536


def main() -> None:
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    connection = http.client.HTTPConnection(host, int(port))
    chunk = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    while True:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        reply = connection.getresponse()
        size_bytes = json.loads(reply.read())["bytes"]
        path = f"/2018-06-01/runtime/invocation/{reply.headers['Lambda-Runtime-Aws-Request-Id']}/response"
        with socket.create_connection((host, int(port))) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sendall(
                f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nTransfer-Encoding: chunked\r\n"
                "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n".encode()
            )
            written = f"@{time.time():.6f}@".encode()
            wire.sendall(b"%x\r\n%b\r\n" % (len(written), written))
            for _ in range(size_bytes // len(PIECE)):
                wire.sendall(chunk)
            wire.sendall(b"0\r\n\r\n")
            wire.recv(4096)


if __name__ == "__main__":
    main()

"""External extensions as their authors write them: one in Python, one as a shell script with curl, one with bash alone.

Each asks for INVOKE and SHUTDOWN, prints what it is told, and ends when it is told to.
"""

PYTHON = """#!/usr/bin/env python3
import json, os, pathlib, sys, time, urllib.request

BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension"
NAME = pathlib.Path(__file__).name

def call(method, path, body=None, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{BASE}/{path}", body, names, method=method)
    with urllib.request.urlopen(request) as reply:
        return reply.headers, json.load(reply)

headers, facts = call("POST", "register", b'{"events":["INVOKE","SHUTDOWN"]}', Lambda_Extension_Name=NAME)
print(NAME, "is there for", facts["functionName"], flush=True)
while True:
    _, event = call("GET", "event/next", Lambda_Extension_Identifier=headers["Lambda-Extension-Identifier"])
    print(NAME, event["eventType"], event.get("requestId") or event["shutdownReason"], flush=True)
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)
    if "crash" in os.environ:
        sys.exit(4)
"""

CURL = """#!/bin/sh
set -eu
base="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
name=${0##*/}
id=$(curl -sS -D - -o /dev/null -H "Lambda-Extension-Name: $name" -d '{"events":["INVOKE","SHUTDOWN"]}' \\
    "$base/register" | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
echo "$name registered"
while :; do
    event=$(curl -sS -H "Lambda-Extension-Identifier: $id" "$base/event/next")
    echo "$name $event"
    case $event in *SHUTDOWN*) exit 0 ;; esac
done
"""

BASH = """#!/bin/bash
set -eu
server=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API##*:}
name=${0##*/}
call() { # METHOD PATH HEADER BODY
    exec 3<>"/dev/tcp/$server/$port"
    printf '%s /2020-01-01/extension/%s HTTP/1.1\\r\\nHost: %s\\r\\n%s\\r\\nContent-Length: %s\\r\\n\\r\\n%s' \\
        "$1" "$2" "$AWS_LAMBDA_RUNTIME_API" "$3" "${#4}" "$4" >&3
    length=0
    while IFS= read -r line <&3 && line=${line%$'\\r'} && [ -n "$line" ]; do
        case ${line,,} in
        lambda-extension-identifier:*) id=${line#*: } ;;
        content-length:*) length=${line#*: } ;;
        esac
    done
    IFS= read -r -N "$length" event <&3
    exec 3>&-
}
call POST register "Lambda-Extension-Name: $name" '{"events":["INVOKE","SHUTDOWN"]}'
echo "$name registered"
while :; do
    call GET event/next "Lambda-Extension-Identifier: $id" ""
    echo "$name $event"
    case $event in *SHUTDOWN*) exit 0 ;; esac
done
"""

# Subscribes to telemetry and prints what it gets. It binds to the name that AWS documents, so the server must reach the
# address to which this name leads in the environment.
LISTENER = """#!/usr/bin/env python3
import http.server, json, os, threading, urllib.request

BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}"

def call(method, path, body=None, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, names, method=method)) as reply:
        return reply.headers, json.load(reply)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            if event["type"] != "extension":
                print("GOT " + json.dumps(event), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("sandbox.localdomain", 4243), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
headers, _ = call("POST", "/2020-01-01/extension/register", {"events": ["INVOKE", "SHUTDOWN"]},
                  Lambda_Extension_Name="listener")
identifier = headers["Lambda-Extension-Identifier"]
request = {
    "schemaVersion": "2022-12-13", "types": ["platform", "function", "extension"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/"},
}
_, answer = call("PUT", "/2022-07-01/telemetry", request, Lambda_Extension_Identifier=identifier)
print("SUBSCRIBED", answer, flush=True)
NEXT = "/2020-01-01/extension/event/next"
while call("GET", NEXT, Lambda_Extension_Identifier=identifier)[1]["eventType"] == "INVOKE":
    pass
"""

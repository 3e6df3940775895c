#!/usr/bin/env bash
# Starts a Docker engine unless one answers already, in a session of its own, and waits for it.
# Prints the pid of the engine that it started, or nothing. Idempotent.
set -euo pipefail

if docker info >/dev/null 2>&1; then
    exit 0
fi
command -v dockerd >/dev/null || { echo "dockerd is not installed" >&2; exit 1; }

log="${RIE_DOCKER_LOG:-/tmp/rie-dockerd.log}"
# An engine that was killed leaves its pid file, and the next one would not start beside it.
pid_file=/var/run/docker.pid
if [ -e "$pid_file" ] && [ "$(cat "/proc/$(cat "$pid_file")/comm" 2>/dev/null)" != dockerd ]; then rm -f "$pid_file"; fi
setsid --fork sh -c 'echo $$ >"$1.pid"; exec dockerd --host=unix:///var/run/docker.sock' sh "$log" \
    </dev/null >"$log" 2>&1
for _ in $(seq 1 120); do
    if docker info >/dev/null 2>&1; then
        cat "$log.pid"
        exit 0
    fi
    sleep 0.25
done
echo "dockerd does not answer after 30 s; the end of $log:" >&2
tail -20 "$log" >&2
exit 1

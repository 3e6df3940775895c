#!/bin/sh
# Runs the runtime interface client for the handler given as an argument, else for $_HANDLER.
# The task root comes first on sys.path, as on AWS, also when the working directory is another one.
handler="${1:-${_HANDLER:-}}"
if [ -z "$handler" ]; then
    echo "no handler: give one as the image's command or in _HANDLER" >&2
    exit 64
fi
if [ -z "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
    echo "AWS_LAMBDA_RUNTIME_API is not set: this image is started by a Lambda server" >&2
    exit 64
fi
export PYTHONPATH="${LAMBDA_TASK_ROOT:=/var/task}${PYTHONPATH:+:$PYTHONPATH}"
exec python3 -m awslambdaric "$handler"

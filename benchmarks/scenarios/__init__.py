"""What is measured, one file each, in the order in which a reader asks.

A scenario is a module with ``NAME``, ``TITLE``, ``CLAIM`` (what it is held against, in words) and ``run``.
"""

from types import ModuleType

from benchmarks.scenarios import (
    async_accept,
    async_drain,
    cold_start_docker,
    cold_start_process,
    control_plane,
    dynamodb_streams,
    environments,
    growth,
    idle_environments,
    idle_mappings,
    idle_memory,
    internal_extension,
    kafka,
    kinesis,
    many_functions,
    payload,
    provisioned,
    rabbitmq,
    server_start,
    sqs,
    streaming,
    telemetry,
    throughput,
    warm_container,
    warm_invoke,
)

SCENARIOS: tuple[ModuleType, ...] = (
    warm_invoke,
    warm_container,
    throughput,
    environments,
    growth,
    async_accept,
    async_drain,
    cold_start_process,
    cold_start_docker,
    provisioned,
    server_start,
    idle_memory,
    payload,
    streaming,
    control_plane,
    internal_extension,
    telemetry,
    idle_environments,
    many_functions,
    sqs,
    idle_mappings,
    kinesis,
    dynamodb_streams,
    kafka,
    rabbitmq,
)

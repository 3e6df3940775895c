"""ADAPTERS that take telemetry out of the server: to extensions, CloudWatch Logs, X-Ray."""

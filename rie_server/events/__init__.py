"""STAGE, asynchronous: from the durable queue through the Invoker until the event has ended."""

"""STAGE that listens: logs of functions and, later, platform events and metrics."""

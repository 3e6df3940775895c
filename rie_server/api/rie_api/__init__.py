"""The server's own paths beside the Lambda API: ``/_rie/...`` and ``/metrics``."""

"""ADAPTERS: what must outlive the process.

``database`` (functions, queued events) and ``code`` (zips and their unpacked trees) live in the data folder; ``s3``
fetches code from elsewhere. Everything here is reached through ``rie_server.ports``; ``wiring`` names the classes.
"""

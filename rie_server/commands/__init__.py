"""The commands of ``rie``, one module each. They talk to a running server over HTTP or read its files; only ``serve``
is one.
"""

"""ADAPTERS of time: real, faster than real, or moved by hand. All of them fill ``ports.Clock``."""

from rie_server.clock.system import SystemClock

__all__ = ["SystemClock"]

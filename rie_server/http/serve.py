"""``serve(settings)``: the server in the foreground until a signal ends it.

Runs in the arbiter, which binds the ports, watches the worker and never imports the application: that keeps it small,
and lets a reload bring new code in.
"""

import contextlib
import gc
import os
import resource
import signal
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from rie_server.clock import SystemClock
from rie_server.config import Settings
from rie_server.http.binding import bind
from rie_server.http.folder_lock import lock_folder

# How long the worker may take, after the drain, to end its environments.
_STOP_SECONDS = 15.0
# A worker whose loop stands still for so long is replaced.
_HEARTBEAT_SECONDS = 30
# An environment takes five file descriptors; the usual soft limit of 1024 would be full at some 180 of them.
# The second figure is the most that macOS gives, whatever its hard limit says.
_FILE_DESCRIPTORS = (65_536, 10_240)


class QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's log without its obituary for a worker that has said itself why it cannot start."""

    _boot_failed = False

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self._boot_failed = self._boot_failed or args[1:] == (Arbiter.WORKER_BOOT_ERROR,)
        if not self._boot_failed:
            super().error(msg, *args, **kwargs)


class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn is configured with; the worker finds the settings here."""

    def __init__(self, settings: Settings, *, build_path: str, app_path: str, log_level: str) -> None:
        self.settings = settings
        self.build_path = build_path
        self.app_path = app_path
        self.now = SystemClock.now
        self._log_level = log_level
        # Bound here and not by gunicorn, which tries a taken port again and again.
        lambda_socket = bind(settings.host, settings.port, "RIE_HOST and RIE_PORT")
        runtime_host = settings.runtime_host or "127.0.0.1"
        runtime_socket = bind(runtime_host, settings.runtime_port, "RIE_RUNTIME_HOST and RIE_RUNTIME_PORT")
        self._binds = [f"fd://{taken.detach()}" for taken in (lambda_socket, runtime_socket)]
        self._folder_lock = lock_folder(settings.data_dir)
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": self._binds,
            "workers": 1,
            "worker_class": "rie_server.http.worker.RieWorker",
            "timeout": _HEARTBEAT_SECONDS,
            "graceful_timeout": int(self.settings.drain_seconds + _STOP_SECONDS),
            "accesslog": None,
            "errorlog": "-",
            "loglevel": self._log_level,
            "logger_class": QuietLogger,
            "proc_name": "rie",
            "on_reload": _announce_successor,
            "control_socket_disable": True,  # only newer gunicorns have one
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> None:
        """The worker loads it, together with the server."""


def serve(
    settings: Settings,
    *,
    build_path: str = "rie_server.wiring:build",
    app_path: str = "rie_server.app:create_app",
    log_level: str = "error",
) -> None:
    """Serves until SIGTERM or SIGINT; then exits with status 0, or with 1 if the server could not start.

    Raises:
        ListenError: a port is taken, or an address is not this machine's.
        FolderInUseError: another server has the data folder.
    """
    _raise_file_limit()
    application = Application(settings, build_path=build_path, app_path=app_path, log_level=log_level)
    arbiter_pid = os.getpid()
    # Pages that the collector does not write to stay shared with the worker.
    gc.collect()
    gc.freeze()
    try:
        application.run()
    except SystemExit as end:
        if os.getpid() == arbiter_pid and end.code not in (None, 0):
            sys.exit(1)
        raise


def _raise_file_limit() -> None:
    """Takes what the system lets this process have without asking; functions get a limit of their own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    for most in _FILE_DESCRIPTORS:
        wanted = most if hard == unlimited else min(hard, most)
        if soft == unlimited or soft >= wanted:
            return
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def _announce_successor(arbiter: Any) -> None:
    """SIGHUP: the worker that runs is told, before the next one starts, that it will not be the only one."""
    arbiter.kill_workers(signal.SIGHUP)

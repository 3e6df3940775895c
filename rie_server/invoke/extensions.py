"""The Extensions API's four calls, as an extension makes them: who may register, and when it gets which event.

Promises: an extension sees the events of its own environment only; every move that the table of ``model.extension``
does not have is denied; nobody registers once initialization is over. Thread-safe and never blocking. Each call raises
RuntimeApiError where AWS answers with an error.
"""

import re

from rie_server.errors import RuntimeApiError
from rie_server.invoke.environment_extensions import EnvironmentExtensions, Extension, ExtensionPoll
from rie_server.invoke.environments import Environment
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.mailbox import Mailbox
from rie_server.invoke.supervisor import Supervisor
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.extension import (
    EXIT_ERROR,
    EXTENSIONS_MOST,
    INIT_ERROR,
    ExtensionMove,
    registration,
)
from rie_server.model.function import FunctionVersion

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Extensions:
    def __init__(self, *, fleet: Fleet, supervisor: Supervisor, mailbox: Mailbox) -> None:
        self._fleet = fleet
        self._supervisor = supervisor
        self._mailbox = mailbox

    def register(self, environment_id: str, name: str, body: bytes) -> tuple[str, FunctionVersion]:
        """An external extension that was started, or an internal one, names itself and the events that it wants.

        Returns its identifier, and the function it is there for.
        """
        if not name:
            raise _forbidden("InvalidExtensionName", "Empty extension name")
        with self._fleet.lock:
            environment = self._fleet.roster.environments.get(environment_id)
            extensions = environment.extensions if environment is not None else None
            known = extensions.by_name.get(name) if extensions is not None else None
            if environment is None or environment.state is not RuntimeState.STARTED:
                raise _closed()
            is_external = known is not None and known.is_external
            wanted = registration(name, body, is_external=is_external, is_shared=environment.is_shared)
            if known is not None and not known.may(ExtensionMove.REGISTER):
                raise _forbidden("InvalidExtensionState", "Extension with this name already registered")
            if known is None:
                _admit_internal(extensions)
            if extensions is None:
                extensions = environment.extensions = EnvironmentExtensions()
            identifier = extensions.register(wanted).identifier
        self._supervisor.extensions.registered(environment)
        return identifier, environment.function

    def next(self, environment_id: str, identifier: str | None, poll: ExtensionPoll) -> None:
        """Answers ``poll`` with the extension's next event, now or later; what it worked on is done."""
        with self._fleet.lock:
            environment, extension = self._find(environment_id, identifier)
            _permit(extension, ExtensionMove.NEXT)
            missed = extension.ask(poll)
        if missed is not None:
            poll.deliver(missed)
        else:
            self._mailbox.resume(environment)

    def init_error(self, environment_id: str, identifier: str | None, error_type: str | None) -> None:
        """The extension cannot be initialized, and is expected to exit."""
        self._report(environment_id, identifier, error_type, ExtensionMove.INIT_ERROR)

    def exit_error(self, environment_id: str, identifier: str | None, error_type: str | None) -> None:
        """The extension is about to exit because of an error."""
        self._report(environment_id, identifier, error_type, ExtensionMove.EXIT_ERROR)

    def subscriber(self, environment_id: str, identifier: str | None) -> str | None:
        """See ``observing.ExtensionDirectory``."""
        with self._fleet.lock:
            environment, extension = self._find(environment_id, identifier)
            return extension.name if environment.state in INITIALIZING else None

    def _report(self, environment_id: str, identifier: str | None, error_type: str | None, move: ExtensionMove) -> None:
        with self._fleet.lock:
            environment, extension = self._find(environment_id, identifier)
            if not error_type:
                raise _forbidden("MissingHeader", "Lambda-Extension-Function-Error-Type not found")
            if extension.state.value == move.value and extension.error_type == error_type:
                return  # said already
            _permit(extension, move)
            extension.move(move)
            extension.error_type = error_type
            if environment.state is RuntimeState.STOPPED:
                return
            fatal_type = INIT_ERROR if move is ExtensionMove.INIT_ERROR else EXIT_ERROR
            self._supervisor.extensions.expect_exit(environment, fatal_type)
            is_idle = environment.state is RuntimeState.READY
        if is_idle:
            self._supervisor.extensions.give_up(environment)

    def _find(self, environment_id: str, identifier: str | None) -> tuple[Environment, Extension]:
        """Under the lock: who calls. An environment that shuts down is off the books, and its extensions still call."""
        if not identifier:
            raise _forbidden("MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        if _UUID.fullmatch(identifier) is None:
            raise _forbidden("InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        environment = self._fleet.roster.environments.get(environment_id) or self._supervisor.shutdowns.ending.get(
            environment_id
        )
        extensions = environment.extensions if environment is not None else None
        extension = extensions.find(identifier.lower()) if extensions is not None else None
        if environment is None or extension is None:
            raise _forbidden("UnknownExtensionIdentifier", f"Unknown extension {identifier}")
        return environment, extension


def _admit_internal(extensions: EnvironmentExtensions | None) -> None:
    """An internal extension: it registers before the runtime has asked for its first event, and there is room."""
    if extensions is None:
        return
    if extensions.held is not None:
        raise _closed()
    if len(extensions.by_name) >= EXTENSIONS_MOST:
        raise _forbidden("TooManyExtensions", f"Extension limit ({EXTENSIONS_MOST}) reached")


def _permit(extension: Extension, move: ExtensionMove) -> None:
    if not extension.may(move):
        raise _forbidden(
            "InvalidExtensionState",
            f"State transition from {extension.state} to {move} failed for extension {extension.identifier}. "
            "Error: State transition is not allowed",
        )


def _closed() -> RuntimeApiError:
    return _forbidden("RegistrationClosed", "Extension registration closed already")


def _forbidden(error_type: str, message: str) -> RuntimeApiError:
    return RuntimeApiError(403, f"Extension.{error_type}", message)

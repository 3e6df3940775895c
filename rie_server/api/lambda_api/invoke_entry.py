"""What the three ways to invoke a function have in common: where they are mounted, and how they refuse."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from rie_server.api.exchange import Deferred, HotRoute, Reply, Request
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.config import Settings
from rie_server.errors import LambdaError
from rie_server.model.request_id import new_request_id
from rie_server.ports import Clock, FunctionCatalog


class InvokeEntry(ABC):
    """Fills ``exchange.HotOperation``. Never blocks. Thread-safe.

    Args:
        validate: the service model's check of a request; raises LambdaError.
    """

    prefix: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(
        self, *, catalog: FunctionCatalog, settings: Settings, clock: Clock, validate: Callable[[Request], None]
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._validate = validate
        self.route = HotRoute(listener="lambda", method="POST", prefix=self.prefix, suffix=self.suffix, operation=self)

    def __call__(self, request: Request) -> Reply | Deferred:
        request_id = new_request_id()
        try:
            return self._answer(request, request_id)
        except LambdaError as error:
            return error_reply(error, request_id)

    @abstractmethod
    def _answer(self, request: Request, request_id: str) -> Reply | Deferred:
        """
        Raises:
            LambdaError: what the caller is told instead.
        """

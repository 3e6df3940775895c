"""The variables that the runtime of an environment finds in its own. Thread-safe; blocks while a role is assumed."""

from collections.abc import Callable, Mapping

from rie_server.invoke.environments import Environment
from rie_server.model.environment_variables import PLACEHOLDER_CREDENTIALS, environment_variables
from rie_server.model.function import FunctionVersion


class Variables:
    """
    Args:
        neighbours: AWS endpoint variables of the server that functions must see too.
        credentials: the variables of a function's execution role; may block.
    """

    def __init__(
        self,
        neighbours: Mapping[str, str],
        *,
        credentials: Callable[[FunctionVersion], Mapping[str, str]] = lambda _: PLACEHOLDER_CREDENTIALS,
    ) -> None:
        self._neighbours = neighbours
        self._credentials = credentials

    def __call__(self, environment: Environment) -> Mapping[str, str]:
        return environment_variables(
            environment.function,
            log_stream=environment.log.stream_name,
            neighbours=self._neighbours,
            credentials=self._credentials(environment.function),
            initialization_type=environment.initialization_type,
        )

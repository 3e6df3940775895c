"""The environments and the waiting line of one deployment of one function version, or of one tenant of it.

Counts and decisions only; guarded by the fleet's lock.
"""

from collections import deque

from rie_server.invoke.allotment import Allotment
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.ports import EnvironmentLog


class Pool:
    """``idle`` is ordered by when an environment became idle: the last one is the warmest.

    Attributes:
        standing: idle environments of provisioned concurrency, in the same order; they are taken first, and never
            given up to anybody else.
        allotment: what provisioned concurrency keeps here; None where nothing is provisioned.
        provisioning: environments of its that initialize; nobody waits for them.
        starting: environments that initialize for the waiting line (not those bound to one invocation).
        finishing: environments that have answered and not yet asked for more. Each is about to be free, so an
            invocation waits for it rather than for a cold start.
        retired: the deployment is no longer current: whoever already waits is served, then environments go.
    """

    __slots__ = (
        "allotment",
        "environments",
        "finishing",
        "function",
        "idle",
        "key",
        "patience_armed",
        "provisioning",
        "retired",
        "standing",
        "starting",
        "waiting",
    )

    def __init__(self, key: str, function: FunctionVersion) -> None:
        self.key = key
        self.function = function
        self.environments: set[Environment] = set()
        self.idle: deque[Environment] = deque()
        self.standing: deque[Environment] = deque()
        self.allotment: Allotment | None = None
        self.provisioning = 0
        self.waiting: deque[Invocation] = deque()
        self.starting = 0
        self.finishing = 0
        self.retired = False
        self.patience_armed = False

    def new_environment(self, environment_id: str, log: EnvironmentLog, *, provisioned: bool = False) -> Environment:
        """One that is still to be put on the books."""
        return Environment(environment_id, self, log, provisioned=provisioned)

    def warmest(self) -> tuple[Environment | None, Poll | None]:
        """Takes the environment that was used last, of those that were started ahead if there is one, if its runtime
        still listens.
        """
        while idle := self.standing or self.idle:
            environment = idle.pop()
            poll, environment.poll = environment.poll, None
            if poll is not None and poll.is_connected():
                return environment, poll
            # It may come back with a new connection; if it has died, news of its exit is on the way.
        return None, None

    @property
    def is_busy(self) -> bool:
        """Whether more than one invocation is served here. May be asked without the lock, by who can bear a wrong
        answer.
        """
        return bool(self.waiting) or len(self.environments) - len(self.idle) - len(self.standing) > 1

    @property
    def about_to_be_free(self) -> int:
        """How many invocations will be taken within a moment, without anything being started."""
        return self.finishing

    def missing(self, *, patient: bool) -> int:
        """How many more environments the waiting line needs; the impatient do not count on those that finish."""
        coming = self.starting + (self.about_to_be_free if patient else 0)
        return max(0, len(self.waiting) - coming)

    def expect(self, environment: Environment) -> None:
        """Counts an environment that is about to initialize, unless it does so for one invocation alone."""
        self.environments.add(environment)
        if environment.provisioned:
            self.provisioning += 1
        elif not environment.bound:
            self.starting += 1

    def initialized(self, environment: Environment) -> None:
        """The opposite of ``expect``: initialization has ended, well or not."""
        if environment.provisioned:
            self.provisioning -= 1
        elif not environment.bound:
            self.starting -= 1

    def rest(self, environment: Environment) -> None:
        """The environment is idle from now on."""
        (self.standing if environment.provisioned else self.idle).append(environment)

    def rouse(self, environment: Environment) -> None:
        """An idle environment is not idle any more."""
        (self.standing if environment.provisioned else self.idle).remove(environment)

    def release(self, environment: Environment) -> None:
        """An environment that was started ahead is one like all others from now on."""
        if environment.state is RuntimeState.READY and environment.poll is not None:
            self.standing.remove(environment)
            self.idle.append(environment)
        elif environment.state in INITIALIZING:
            self.provisioning -= 1
            self.starting += 1
        environment.provisioned = False

    def provisioned_environments(self) -> int:
        """How many that were started ahead have been initialized."""
        return sum(one.provisioned for one in self.environments) - self.provisioning

    def forget(self, environment: Environment) -> None:
        """Takes a stopped environment out of every count; ``state`` must still be the one it had."""
        self.environments.discard(environment)
        if environment.state is RuntimeState.READY and environment.poll is not None:
            self.rouse(environment)
        elif environment.state in INITIALIZING:
            self.initialized(environment)
        elif environment.state is RuntimeState.RESPONSE_SENT:
            self.finishing -= 1

    @property
    def is_spent(self) -> bool:
        return not self.environments and not self.waiting and self.allotment is None

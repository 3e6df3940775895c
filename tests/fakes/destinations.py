"""Destinations in memory, held to the contract suite of the real ones (``tests/contract/test_destinations.py``)."""

import threading

from rie_server.errors import DeliveryError
from rie_server.model.delivery import Delivery


class MemoryDestinations:
    """Keeps what it is given; every target exists and is well until ``refuse`` says otherwise.

    Attributes:
        delivered: what has arrived, in order.
        attempts: every delivery that was tried, refused or not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: dict[str, bool] = {}
        self.delivered: list[Delivery] = []
        self.attempts: list[Delivery] = []

    def refuse(self, target_arn: str, *, passes: bool) -> None:
        """From now on deliveries to ``target_arn`` fail, until ``accept``."""
        with self._lock:
            self._refusals[target_arn] = passes

    def accept(self, target_arn: str) -> None:
        with self._lock:
            self._refusals.pop(target_arn, None)

    def deliver(self, delivery: Delivery) -> None:
        with self._lock:
            self.attempts.append(delivery)
            passes = self._refusals.get(delivery.target_arn)
            if passes is not None:
                raise DeliveryError(f"{delivery.target_arn} takes nothing", passes=passes)
            self.delivered.append(delivery)

"""Who calls is told by the address, and nothing else."""

import socket
from dataclasses import dataclass

from rie_server.api.exchange import Request
from rie_server.api.runtime_api.identity import EnvironmentIdentities


@dataclass
class Caller:
    local_address: tuple[str, int]
    peer_address: str = "127.0.0.1"

    def is_alive(self) -> bool:
        return True


class Listening:
    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def __call__(self, listener: socket.socket):
        self.sockets.append(listener)
        return listener.close


def request(local_address: tuple[str, int], *, host: str = "x", peer: str = "127.0.0.1") -> Request:
    return Request("GET", "/", "", {"host": host}, b"", Caller(local_address, peer))


def test_every_process_has_a_loopback_address_of_its_own() -> None:
    listening = Listening()
    identities = EnvironmentIdentities(listen=listening, runtime_port=9001)
    addresses = [identities.open_address(environment_id) for environment_id in ("e1", "e2")]
    assert all(address.startswith("127.") for address in addresses)
    assert addresses[0] != addresses[1]
    callers = [request(listener.getsockname()) for listener in listening.sockets]
    assert [identities.environment_of(caller) for caller in callers] == ["e1", "e2"]
    for environment_id in ("e1", "e2", "e2"):
        identities.close(environment_id)
    assert identities.environment_of(callers[0]) is None
    assert all(listener.fileno() == -1 for listener in listening.sockets)


def test_a_host_header_does_not_make_one_process_another() -> None:
    listening = Listening()
    identities = EnvironmentIdentities(listen=listening, runtime_port=9001)
    identities.open_address("mine")
    identities.register_host("theirs", "secret-name", None)
    caller = request(listening.sockets[0].getsockname(), host="secret-name:9001")
    assert identities.environment_of(caller) == "mine"
    identities.close("mine")
    identities.close("theirs")


def test_a_container_is_known_by_its_name_and_from_its_own_address_only() -> None:
    identities = EnvironmentIdentities(listen=Listening(), runtime_port=9001)
    assert identities.register_host("e1", "secret-name", None) == "secret-name:9001"
    gateway = ("172.17.0.1", 9001)
    assert identities.environment_of(request(gateway, host="secret-name:9001", peer="172.17.0.9")) == "e1"
    identities.register_host("e1", "secret-name", "172.17.0.2")
    assert identities.environment_of(request(gateway, host="secret-name:9001", peer="172.17.0.9")) is None
    assert identities.environment_of(request(gateway, host="secret-name:9001", peer="172.17.0.2")) == "e1"
    assert identities.environment_of(request(gateway, host="other:9001", peer="172.17.0.2")) is None
    identities.close("e1")
    assert identities.environment_of(request(gateway, host="secret-name:9001", peer="172.17.0.2")) is None

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import botocore.session
import pytest
from botocore.validate import validate_parameters

from rie_server.aws_clients import ServiceClients
from rie_server.executors.role_credentials import RoleCredentials
from rie_server.model.caller import AccessKey
from tests.fakes.clock import FakeClock
from tests.unit.invoke.conftest import function_version


class Sts:
    """AWS's model checks what it is asked; sessions last an hour."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._shape = botocore.session.get_session().get_service_model("sts").operation_model("AssumeRole").input_shape
        self.sessions = 0

    def client(self, service: str, region: str) -> Any:
        assert (service, region) == ("sts", "us-east-1")
        return SimpleNamespace(assume_role=self._assume_role)

    def _assume_role(self, **members: Any) -> dict[str, Any]:
        validate_parameters(members, self._shape)
        self.sessions += 1
        ends = datetime.fromtimestamp(self._clock.now() + 3600, UTC)
        given = {"AccessKeyId": f"ASIA{self.sessions}", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends}
        arn = f"arn:aws:sts::000000000000:assumed-role/r/{members['RoleSessionName']}"
        return {"Credentials": given, "AssumedRoleUser": {"Arn": arn}}


def credentials_of(sts: Sts, clock: FakeClock, keys: dict[str, AccessKey]) -> RoleCredentials:
    return RoleCredentials(
        clients=cast("ServiceClients", sts), clock=clock, on_session=keys.__setitem__, account_id="000000000000"
    )


@pytest.mark.parametrize(("name", "session"), [("f", "f-"), ("orders", "orders"), ("a" * 64, "a" * 64)])
def test_every_function_s_name_makes_a_session(name: str, session: str) -> None:
    clock, keys = FakeClock(), dict[str, AccessKey]()
    credentials = credentials_of(Sts(clock), clock, keys)
    assert credentials(function_version(name=name))["AWS_ACCESS_KEY_ID"] == "ASIA1"
    assert keys["ASIA1"].caller.arn.endswith(f":assumed-role/r/{session}")


def test_a_session_serves_until_little_is_left_of_it_and_its_key_ends_with_it() -> None:
    clock, keys = FakeClock(), dict[str, AccessKey]()
    sts = Sts(clock)
    credentials = credentials_of(sts, clock, keys)
    begun = clock.now()
    assert credentials(function_version()) == credentials(function_version())
    clock.advance(2699)
    assert credentials(function_version())["AWS_ACCESS_KEY_ID"] == "ASIA1"
    clock.advance(2)
    assert credentials(function_version())["AWS_ACCESS_KEY_ID"] == "ASIA2"
    assert keys["ASIA1"].expires_at == begun + 3600

"""The commands against a server that goes by IAM."""

from collections.abc import Iterator

import pytest

from rie_server.commands.endpoint import RequestFailedError, signed_headers
from rie_server.config import Settings
from tests.conftest import RieServer
from tests.integration.cli.test_commands import FUNCTIONS, Shell


class SignedShell(Shell):
    @property
    def environ(self) -> dict[str, str]:
        keys = "FAR=far@111111111111,OWN=own/+secret="
        return {**super().environ, "RIE_AUTH": "iam", "RIE_ACCESS_KEYS": keys}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedShell]:
    server = RieServer(
        tmp_path_factory.mktemp("server"),
        template=FUNCTIONS / "template.yaml",
        auth="iam",
        access_keys="FAR=far@111111111111,OWN=own/+secret=",
    )
    try:
        server.wait_ready()
        yield SignedShell(server)
    finally:
        server.stop()


def test_functions_are_listed_and_invoked_with_the_own_account_s_key(shell: SignedShell) -> None:
    listed = shell("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "hello" in listed.stdout
    for reference in ("hello", "hello:$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:hello"):
        invoked = shell("invoke", reference, "-p", '{"a": "é"}')
        assert (invoked.returncode, invoked.stderr) == (0, ""), invoked.stderr


def test_somebody_without_a_key_of_the_account_is_told_so() -> None:
    settings = Settings(auth="iam", access_keys=(("FAR", "far", "111111111111"),))
    with pytest.raises(RequestFailedError, match="no key of account 000000000000"):
        signed_headers(settings, "GET", "http://127.0.0.1:9000/", headers={})

"""Where the commands look for the server of their settings."""

import pytest

from rie_server.commands.endpoint import server_url
from rie_server.config import Settings


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000"),
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
        ("lambda.internal", "http://lambda.internal:9000"),
    ],
)
def test_a_server_that_listens_everywhere_is_found_on_loopback(host: str, url: str) -> None:
    assert server_url(Settings(host=host)) == url

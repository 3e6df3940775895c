"""Base64 is the same whichever library writes it."""

from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.base64_bytes import base64_bytes, standard_base64


@given(st.binary(max_size=300))
def test_both_libraries_write_the_same(content: bytes) -> None:
    assert base64_bytes(content) == standard_base64(content)

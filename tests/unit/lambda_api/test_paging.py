"""Pages of lists that change while they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.api.lambda_api.paging import page
from rie_server.errors import InvalidParameterValueException

NAMES = st.sets(st.text("abcdü-_ $", min_size=1, max_size=4), max_size=12)


def read(pages: list[set[str]], size: int) -> list[str]:
    """All items of a list, whose content before the nth request is the nth of ``pages``, or the last one."""
    shown: list[str] = []
    members: dict[str, object] = {"MaxItems": size}
    for number in range(100):
        content = pages[min(number, len(pages) - 1)]
        items, marker = page(sorted(content), members, largest=50, name=str)
        shown += items
        if marker is None:
            return shown
        members = {"MaxItems": size, "Marker": marker}
    raise AssertionError("the list does not end")


@given(always=NAMES, changes=st.lists(NAMES, min_size=1, max_size=6), size=st.integers(1, 5))
def test_what_is_there_all_the_time_is_listed_once_whatever_comes_and_goes(
    always: set[str], changes: list[set[str]], size: int
) -> None:
    shown = read([always | others for others in changes], size)
    assert len(shown) == len(set(shown))
    assert always <= set(shown)
    assert shown == sorted(shown)


@given(names=NAMES, asked=st.integers(1, 10_000))
def test_a_page_is_never_larger_than_aws_allows(names: set[str], asked: int) -> None:
    items, marker = page(sorted(names), {"MaxItems": asked}, largest=3, name=str)
    assert len(items) == min(asked, 3, len(names))
    assert (marker is None) == (len(items) == len(names))


@pytest.mark.parametrize("marker", ["no base64!", "ÿ", "_w=="])
def test_a_marker_that_no_list_has_given_is_refused(marker: str) -> None:
    with pytest.raises(InvalidParameterValueException):
        page(["a"], {"Marker": marker}, largest=3, name=str)

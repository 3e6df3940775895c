"""Loops are found by the lineage in the trace header, whatever else it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.errors import RecursiveInvocationException
from rie_server.model.arn import FunctionArn
from rie_server.model.recursion import INVOCATIONS_IN_A_CHAIN, hop, lineage_digits
from tests.unit.invoke.conftest import ARN, Stage

OWN = lineage_digits(ARN)
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"


def test_the_first_invocation_of_a_chain_begins_a_lineage() -> None:
    assert hop(TRACE, ARN).trace_header == f"{TRACE};Lineage=1:{OWN}:0"
    assert hop("", ARN).trace_header == f"Lineage=1:{OWN}:0"


def test_versions_of_a_function_share_its_entry_and_other_functions_have_their_own() -> None:
    assert lineage_digits(ARN.qualified("$LATEST")) == OWN
    assert len(OWN) == 8
    assert lineage_digits(hop_target("other")) != OWN


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"Lineage=1:{OWN}:3", f"Lineage=1:{OWN}:4"),
        (f"Lineage={OWN}:3", f"Lineage={OWN}:4"),
        (f"Lineage=1:a87bd80c:2|1:{OWN}:0|68fd508a:5", f"Lineage=1:a87bd80c:2|1:{OWN}:1|68fd508a:5"),
        (f"Lineage=1:a87bd80c:2%7C1:{OWN}:0", f"Lineage=1:a87bd80c:2|1:{OWN}:1"),
        ("Lineage=1:a87bd80c:2", f"Lineage=1:a87bd80c:2|1:{OWN}:0"),
        ("Lineage=", f"Lineage=1:{OWN}:0"),
        (f"Lineage=1:{OWN}:many", f"Lineage=1:{OWN}:many|1:{OWN}:0"),
        (f"Lineage=1:{OWN}:{'9' * 5000}", f"Lineage=1:{OWN}:{'9' * 5000}|1:{OWN}:0"),
    ],
)
def test_a_hop_counts_in_the_functions_own_entry_alone(before: str, after: str) -> None:
    assert hop(f"Root=1-2-3;{before};Sampled=1", ARN).trace_header == f"Root=1-2-3;{after};Sampled=1"


def test_a_field_that_only_ends_like_the_lineage_is_none() -> None:
    assert hop("NoLineage=1:aa:1", ARN).trace_header == f"NoLineage=1:aa:1;Lineage=1:{OWN}:0"


def test_the_seventeenth_invocation_of_a_chain_is_a_loop_and_none_before() -> None:
    header, loops = TRACE, []
    for _ in range(INVOCATIONS_IN_A_CHAIN + 1):
        header = hop(header, hop_target("other")).trace_header
        following = hop(header, ARN)
        header = following.trace_header
        loops.append(following.is_loop)
    assert loops == [False] * 16 + [True]


@given(header=st.text(max_size=60) | st.text(alphabet=f"{OWN}:|=;%7CLineag1", max_size=60).map("Lineage=".__add__))
def test_no_header_is_too_strange_to_hop_on(header: str) -> None:
    following = hop(header, ARN)
    assert OWN in following.trace_header
    assert hop(following.trace_header, ARN).trace_header != following.trace_header


def test_the_runtime_is_told_the_lineage_and_the_request_keeps_its_own_header(stage: Stage) -> None:
    stage.invoke("a", trace_header=TRACE)
    (got,) = stage.runtime().next().got
    assert got.trace_header == f"{TRACE};Lineage=1:{OWN}:0"
    assert got.request.trace_header == TRACE


def test_a_loop_is_refused_before_it_takes_any_concurrency(stage: Stage) -> None:
    with pytest.raises(RecursiveInvocationException) as refused:
        stage.invoke("a", trace_header=f"{TRACE};Lineage=1:{OWN}:15")
    assert (refused.value.status, refused.value.code) == (400, "RecursiveInvocationException")
    assert stage.front_controller.running == 0
    stage.invoke("b", trace_header=f"{TRACE};Lineage=1:{OWN}:14")
    assert stage.front_controller.running == 1


def test_a_function_that_may_recurse_goes_on_and_counts_on(stage: Stage) -> None:
    stage.catalog.recursive.add(ARN.name)
    stage.invoke("a", trace_header=f"Lineage=1:{OWN}:99")
    (got,) = stage.runtime().next().got
    assert got.trace_header == f"Lineage=1:{OWN}:100"


def hop_target(name: str) -> FunctionArn:
    return FunctionArn(region=ARN.region, account=ARN.account, name=name)

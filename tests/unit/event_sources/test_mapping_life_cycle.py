"""How a mapping's State moves."""

from dataclasses import replace

import pytest

from rie_server.errors import ResourceInUseException
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.model.mapping_life_cycle import (
    LEGAL_MOVES,
    deleting,
    given_up,
    is_settled,
    settled,
    updated,
)
from tests.unit.event_sources.mappings import NOW, mapping_of

S = MappingState


def in_state(state: MappingState, *, enabled: bool = True) -> EventSourceMapping:
    return replace(mapping_of(SourceKind.KINESIS), state=state, enabled=enabled)


@pytest.mark.parametrize(
    ("kind", "enabled", "state"),
    [
        (SourceKind.SQS, True, S.CREATING),
        (SourceKind.SQS, False, S.DISABLED),
        (SourceKind.DYNAMODB, True, S.CREATING),
        (SourceKind.DYNAMODB, False, S.CREATING),
    ],
)
def test_only_a_disabled_mapping_of_a_queue_is_there_at_once(
    kind: SourceKind, enabled: bool, state: MappingState
) -> None:
    mapping = mapping_of(kind, enabled=enabled)
    assert mapping.state is state
    assert settled(mapping).state is (S.ENABLED if enabled else S.DISABLED)


@pytest.mark.parametrize(
    ("was", "wanted", "state", "then"),
    [
        (True, True, S.UPDATING, S.ENABLED),
        (False, False, S.UPDATING, S.DISABLED),
        (True, False, S.DISABLING, S.DISABLED),
        (False, True, S.ENABLING, S.ENABLED),
    ],
)
def test_an_update_is_named_for_what_it_does(was: bool, wanted: bool, state: MappingState, then: MappingState) -> None:
    mapping = in_state(S.ENABLED if was else S.DISABLED, enabled=was)
    changed = updated(mapping, function=mapping.function, members={"BatchSize": 1}, enabled=wanted, at=NOW + 5)

    assert (changed.state, changed.enabled, changed.members, changed.last_modified) == (
        state,
        wanted,
        {"BatchSize": 1},
        NOW + 5,
    )
    assert settled(changed).state is then


@pytest.mark.parametrize("state", [S.CREATING, S.ENABLING, S.DISABLING, S.UPDATING, S.DELETING])
def test_a_mapping_in_transition_is_in_use(state: MappingState) -> None:
    mapping = in_state(state)
    assert not is_settled(mapping)
    with pytest.raises(ResourceInUseException, match="Cannot update the event source mapping because"):
        updated(mapping, function=mapping.function, members={}, enabled=True, at=NOW)
    with pytest.raises(ResourceInUseException, match="Cannot delete the event source mapping because"):
        deleting(mapping, at=NOW)


def test_the_service_disables_a_mapping_with_its_reason_and_the_user_enables_it_again() -> None:
    stopped = settled(given_up(in_state(S.ENABLED), "The secret is gone.", at=NOW))
    assert (stopped.state, stopped.enabled, stopped.state_transition_reason) == (
        S.DISABLED,
        False,
        "The secret is gone.",
    )
    again = updated(stopped, function=stopped.function, members={}, enabled=True, at=NOW)
    assert again.state_transition_reason == "User action"


@pytest.mark.parametrize("state", [state for state in S if S.DISABLING not in LEGAL_MOVES[state]])
def test_no_move_is_made_that_the_table_does_not_have(state: MappingState) -> None:
    with pytest.raises(ValueError, match=f"cannot go from {state} to Disabling"):
        given_up(in_state(state), "why", at=NOW)


def test_every_state_has_its_moves() -> None:
    assert set(LEGAL_MOVES) == set(S)
    assert all(moves <= set(S) for moves in LEGAL_MOVES.values())

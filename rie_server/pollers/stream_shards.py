"""Which shards of a stream may be read now, and from where. Pure.

A shard's records come after those of its parents: it begins when they have ended, or have been trimmed away. A shard
that came to be after the mapping did is read from its beginning, whatever the mapping's starting position.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rie_server.model.event_source import EventSourceMapping, Shard, SourceKind
from rie_server.pollers.stream_checkpoint import ShardCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStart:
    """
    Attributes:
        checkpoint: what the shard goes on from.
        at_tip: read from the shard's tip as it is now, if it can be had at once; else from the checkpoint's position.
    """

    shard_id: str
    checkpoint: ShardCheckpoint
    at_tip: bool = False


def first_checkpoints(mapping: EventSourceMapping, shards: Sequence[Shard]) -> Mapping[str, ShardCheckpoint]:
    """Where a mapping begins that has no checkpoints yet; empty where it begins at the beginning.

    LATEST is written down as a time, that of the request that made or enabled the mapping: what comes before its poller
    looks for the first time, or before a server that has ended is back, is not lost.
    """
    if mapping.members.get("StartingPosition") != "LATEST":
        return {}
    made_at = mapping.last_modified
    # DynamoDB knows the second of a record, and no more.
    since = math.floor(made_at) if mapping.kind is SourceKind.DYNAMODB else made_at
    return {shard.shard_id: ShardCheckpoint(since=since, began_at=shard.began_at) for shard in shards}


def shards_to_start(
    mapping: EventSourceMapping,
    shards: Sequence[Shard],
    checkpoints: Mapping[str, ShardCheckpoint],
    *,
    running: Collection[str],
    is_first: bool,
) -> list[ShardStart]:
    """
    Args:
        shards: all that the stream has.
        checkpoints: by shard; those of shards that have ended are among them.
        running: shards that are being read.
        is_first: the mapping has just been enabled, and given its ``first_checkpoints``.
    """
    known = {shard.shard_id: shard for shard in shards}
    starts = []
    for shard in shards:
        checkpoint = _own(shard, checkpoints) or _beginning(mapping)
        checkpoint = replace(checkpoint, began_at=shard.began_at)
        parents = [known[parent] for parent in shard.parents if parent in known]
        if shard.shard_id in running or checkpoint.is_ended:
            continue
        if any(parent.shard_id in running or not _is_ended(parent, checkpoints) for parent in parents):
            continue
        # DynamoDB could be read from a time on only by reading all that came before it.
        is_latest = mapping.members.get("StartingPosition") == "LATEST" and mapping.kind is SourceKind.DYNAMODB
        at_tip = is_first and not parents and is_latest
        starts.append(ShardStart(shard_id=shard.shard_id, checkpoint=checkpoint, at_tip=at_tip))
    return starts


def _beginning(mapping: EventSourceMapping) -> ShardCheckpoint:
    """Of a shard without a checkpoint."""
    if mapping.members.get("StartingPosition") == "AT_TIMESTAMP":
        return ShardCheckpoint(since=float(mapping.members["StartingPositionTimestamp"]))
    return ShardCheckpoint()


def _own(shard: Shard, checkpoints: Mapping[str, ShardCheckpoint]) -> ShardCheckpoint | None:
    checkpoint = checkpoints.get(shard.shard_id)
    return checkpoint if checkpoint is not None and checkpoint.is_of(shard) else None


def _is_ended(shard: Shard, checkpoints: Mapping[str, ShardCheckpoint]) -> bool:
    checkpoint = _own(shard, checkpoints)
    return checkpoint is not None and checkpoint.is_ended

"""Looks at a stream before a mapping to it is created: fills ``polling.SourceInspector`` for both kinds of streams."""

from collections.abc import Callable

from rie_server.errors import InvalidParameterValueException, SourceError
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.polling import StreamSource
from rie_server.sources.stream_answers import StreamMissingError


class StreamInspector:
    """
    Args:
        source_of: makes the source of a mapping; it is closed after the look.
    """

    def __init__(self, source_of: Callable[[EventSourceMapping], StreamSource]) -> None:
        self._source_of = source_of

    def check(self, mapping: EventSourceMapping) -> None:
        """
        Raises:
            InvalidParameterValueException: ``Stream not found: ARN``, ``Unsupported starting position for arn type:
                ARN``, or why the stream cannot be read.
        """
        if mapping.kind is SourceKind.DYNAMODB and mapping.members.get("StartingPosition") == "AT_TIMESTAMP":
            raise InvalidParameterValueException(f"Unsupported starting position for arn type: {mapping.source_arn}")
        source = self._source_of(mapping)
        try:
            source.shards()
        except StreamMissingError:
            raise InvalidParameterValueException(f"Stream not found: {mapping.source_arn}") from None
        except SourceError as trouble:
            raise InvalidParameterValueException(f"Cannot access stream {mapping.source_arn}. {trouble}") from trouble
        finally:
            source.close()

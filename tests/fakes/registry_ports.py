"""What the registry reaches the world through, in memory: S3 and an image puller."""

import io
import zipfile
from collections.abc import Mapping

from rie_server.errors import EnvironmentStartError, InvalidParameterValueException
from rie_server.model.function import FunctionVersion


class MemoryObjectStorage:
    """Objects by bucket and key; answers in S3's words when there is none."""

    def __init__(self, objects: Mapping[tuple[str, str], bytes] | None = None) -> None:
        self.objects = dict(objects or {})

    def get(self, bucket: str, key: str, version: str | None, *, region: str) -> bytes:
        try:
            return self.objects[bucket, key]
        except KeyError:
            raise InvalidParameterValueException(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
                "S3 Error Message: The specified key does not exist."
            ) from None


class FakeImages:
    """Knows the images it is given, by URI, and counts the pulls."""

    def __init__(self, digests: Mapping[str, str] | None = None) -> None:
        self.digests = dict(digests or {})
        self.pulled: list[str] = []

    def prepare_image(self, image_uri: str) -> str:
        self.pulled.append(image_uri)
        if image_uri not in self.digests:
            raise EnvironmentStartError("InvalidImage", f"The image {image_uri} does not exist.")
        return self.digests[image_uri]


class ExecutorAnswers:
    """``Executor.supports``: refuses the runtimes it is told to."""

    def __init__(self) -> None:
        self.refused: dict[str | None, str] = {}

    def __call__(self, function: FunctionVersion) -> str | None:
        return self.refused.get(function.runtime)


def zip_of(**files: str) -> bytes:
    """A zip with the given files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()

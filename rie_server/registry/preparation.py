"""Making a deployment ready to run: unpacked code, a pulled image, an executor that can run it.

May block for as long as a pull takes. Never raises: what goes wrong becomes the reason that GetFunction shows.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from rie_server.errors import EnvironmentStartError, LambdaError
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function import FunctionVersion
from rie_server.model.function_record import CodeReference, Deployment
from rie_server.ports import ImagePreparer
from rie_server.registry.code_keeping import CodeKeeper

_log = logging.getLogger(__name__)

_IMAGE_REASON_CODES = ("ImageAccessDenied", "ImageDeleted", "InvalidImage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """``deployment`` with what preparing has found out, and what the engine runs for it."""

    deployment: Deployment
    version: FunctionVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """``StateReason`` and ``StateReasonCode``."""

    reason: str
    reason_code: str


class Preparation:
    """Thread-safe as far as its ports are."""

    def __init__(
        self,
        *,
        code: CodeKeeper,
        images: ImagePreparer | None,
        supports: Callable[[FunctionVersion], str | None],
    ) -> None:
        self._code = code
        self._images = images
        self._supports = supports

    def prepare(self, arn: FunctionArn, deployment: Deployment, version: str = LATEST) -> Ready | Refusal:
        """Does all that must be done before the first invocation."""
        try:
            return self._prepare(arn, deployment, version)
        except EnvironmentStartError as error:
            return Refusal(reason=str(error), reason_code=_image_reason_code(error.error_type))
        except LambdaError as error:
            return Refusal(reason=error.message, reason_code="InvalidZipFileException")
        except Exception:
            _log.exception("%s could not be prepared", arn)
            return Refusal(reason="The function could not be prepared.", reason_code="InternalError")

    def _prepare(self, arn: FunctionArn, deployment: Deployment, version: str) -> Ready | Refusal:
        function = self._code.runnable(arn, deployment, version)
        # Asked before an image is pulled: pulling what cannot run would only take time.
        obstacle = self._supports(function)
        if obstacle is not None:
            return Refusal(reason=obstacle, reason_code="InvalidConfiguration")
        if function.image_uri is not None and deployment.code.image_digest is None:
            if self._images is None:
                return Refusal(reason="This server cannot pull container images.", reason_code="InvalidImage")
            digest = self._images.prepare_image(function.image_uri)
            deployment = replace(deployment, code=_with_digest(deployment.code, digest))
        return Ready(deployment=deployment, version=function)


def _with_digest(code: CodeReference, digest: str) -> CodeReference:
    return replace(code, image_digest=digest, sha256=digest.removeprefix("sha256:"))


def _image_reason_code(error_type: str) -> str:
    for code in _IMAGE_REASON_CODES:
        if code in error_type:
            return code
    return "ImageAccessDenied" if "AccessDenied" in error_type else "InvalidImage"

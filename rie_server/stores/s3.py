"""Function code from S3, through boto3's own settings: credentials, ``AWS_ENDPOINT_URL_S3``, profiles.

Thread-safe: every call makes its own client. boto3 costs a tenth of a second to import and is loaded at the first call.
"""

from contextlib import closing
from typing import Any

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import UNZIPPED_BYTES

_CONNECT_TIMEOUT_SECONDS = 5
_READ_TIMEOUT_SECONDS = 30


class BotoObjectStorage:
    """Fills ``ports.ObjectStorage``."""

    def get(self, bucket: str, key: str, version: str | None, *, region: str) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see above

        where = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version is not None else {})
        try:
            client = _client(region)
            try:
                return _read(client.get_object(**where))
            finally:
                client.close()
        except ClientError as refusal:
            error = refusal.response.get("Error", {})
            raise _refused(error.get("Code", "Unknown"), error.get("Message", "")) from refusal
        except BotoCoreError as failure:
            raise _refused(type(failure).__name__, str(failure)) from failure


def _client(region: str) -> Any:
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    settings = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS, read_timeout=_READ_TIMEOUT_SECONDS, retries={"max_attempts": 2}
    )
    session = boto3.session.Session()
    client = session.client("s3", region_name=region, config=settings)
    if ".amazonaws.com" in client.meta.endpoint_url:
        return client
    # An emulator at http://localhost:4566 has no host name per bucket.
    client.close()
    by_path = Config(s3={"addressing_style": "path"})
    return session.client("s3", region_name=region, config=settings.merge(by_path))


def _read(answer: Any) -> bytes:
    with closing(answer["Body"]) as body:
        if answer["ContentLength"] > UNZIPPED_BYTES:
            raise InvalidParameterValueException(f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")
        content: bytes = body.read()
        return content


def _refused(code: str, message: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
    )

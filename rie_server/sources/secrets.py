"""Secrets of event sources: JSON objects in Secrets Manager. Thread-safe and without memory, so that a secret that was
changed counts from the next connection on.
"""

import json
from collections.abc import Mapping
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.sources.access import AUTHENTICATION, Clients, call


def read_secret(clients: Clients, mapping: EventSourceMapping, arn: str, *members: str) -> Mapping[str, str]:
    """The object in a secret.

    Args:
        members: those that it must have.

    Raises:
        SourceError: no such secret, no access, or a member is missing.
    """
    parts = arn.split(":")
    region = parts[3] if len(parts) > 3 else mapping.function.region

    def get() -> Mapping[str, Any]:
        answer: Mapping[str, Any] = clients.client("secretsmanager", region).get_secret_value(SecretId=arn)
        return answer

    found = call("GetSecretValue", "SecretsManager", get)
    try:
        secret = json.loads(found["SecretString"])
        return {name: str(secret[name]) for name in members} | {
            str(name): str(value) for name, value in dict(secret).items()
        }
    except (KeyError, TypeError, ValueError):
        wanted = " and ".join(members)
        told = f"The secret {arn} is not a JSON object with {wanted}."
        raise SourceError(f"{AUTHENTICATION} {told}", passes=False) from None

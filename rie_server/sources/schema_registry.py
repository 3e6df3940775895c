"""A schema registry that speaks Confluent's REST API: schemas by their ids, with what they refer to.

Thread-safe. A schema never changes under its id, so each is asked for once; who may ask is looked up at each request.
"""

import base64
import json
import ssl
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.sources.access import CONFIGURATION, Clients
from rie_server.sources.secrets import read_secret

REQUEST_SECONDS = 5.0
_MAGIC = b"\x00"
_HEAD_BYTES = 5
FORMATS = {"AVRO": "AVRO", "JSON": "JSON", "PROTOBUF": "PROTOBUF"}


class UnknownSchemaError(Exception):
    """The registry has no schema of this id: the record cannot be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """
    Attributes:
        data_format: ``AVRO``, ``JSON`` or ``PROTOBUF``.
        text: as it was registered.
        references: the texts of the schemas that it refers to, and they to, by the names that it has for them.
    """

    data_format: str
    text: str
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """``headers`` of each request, and the TLS context; None for plain HTTP."""

    headers: Mapping[str, str]
    context: ssl.SSLContext | None


class SchemaRegistry:
    """
    Args:
        enter: finds the way in; raises SourceError.
    """

    def __init__(self, url: str, enter: Callable[[], RegistryAccess]) -> None:
        self._url = url.rstrip("/")
        self._enter = enter
        self._lock = threading.Lock()
        self._schemas: dict[int, Schema] = {}

    def unframe(self, framed: bytes) -> tuple[int, bytes]:
        """The id of a schema, and the payload behind it.

        Raises:
            UnknownSchemaError: it names none.
        """
        if len(framed) < _HEAD_BYTES or framed[:1] != _MAGIC:
            raise UnknownSchemaError("It does not begin with the id of a schema.")
        return int.from_bytes(framed[1:_HEAD_BYTES], "big"), framed[_HEAD_BYTES:]

    def schema(self, schema_id: int) -> Schema:
        """
        Raises:
            UnknownSchemaError: there is none.
            SourceError: the registry cannot be reached, or does not let this server in.
        """
        with self._lock:
            known = self._schemas.get(schema_id)
        if known is not None:
            return known
        answer = self._get(f"/schemas/ids/{schema_id}")
        references: dict[str, str] = {}
        self._collect(answer.get("references") or (), references)
        schema = Schema(
            data_format=str(answer.get("schemaType") or "AVRO"), text=str(answer["schema"]), references=references
        )
        with self._lock:
            return self._schemas.setdefault(schema_id, schema)

    def _collect(self, wanted: Any, found: dict[str, str]) -> None:
        """Depth first: what a schema refers to stands before it."""
        for one in wanted:
            name = str(one["name"])
            if name not in found:
                subject = urllib.parse.quote(str(one["subject"]), safe="")
                answer = self._get(f"/subjects/{subject}/versions/{int(one['version'])}")
                self._collect(answer.get("references") or (), found)
                found[name] = str(answer["schema"])

    def _get(self, path: str) -> Mapping[str, Any]:
        access = self._enter()
        headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json", **access.headers}
        request = urllib.request.Request(self._url + path, headers=headers)  # noqa: S310 - http or https, see registry_of
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS, context=access.context) as reply:  # noqa: S310
                answer = json.loads(reply.read())
        except urllib.error.HTTPError as refusal:
            told = refusal.read(500).decode(errors="replace")
            refusal.close()
            if refusal.code == 404:
                raise UnknownSchemaError(told) from None
            raise SourceError(f"Schema registry error. {refusal.code}: {told}", passes=refusal.code >= 500) from None
        except (OSError, ValueError) as trouble:
            raise SourceError(f"Schema registry error. {self._url}: {trouble}") from trouble
        if not isinstance(answer, dict):
            raise SourceError(f"Schema registry error. {self._url} is no schema registry.")
        return answer


def registry_of(mapping: EventSourceMapping, configuration: Mapping[str, Any], clients: Clients) -> SchemaRegistry:
    """The registry of a ``SchemaRegistryConfig``.

    Raises:
        SourceError: it is none of Confluent's.
    """
    url = str(configuration.get("SchemaRegistryURI") or "")
    if not url.startswith(("http://", "https://")):
        raise SourceError(f"{CONFIGURATION} {url} is neither a URL nor a registry of Glue's.", passes=False)
    access = {str(one.get("Type")): str(one.get("URI")) for one in configuration.get("AccessConfigs") or ()}
    return SchemaRegistry(url, lambda: _enter(mapping, url, access, clients))


def _enter(mapping: EventSourceMapping, url: str, access: Mapping[str, str], clients: Clients) -> RegistryAccess:
    headers = {}
    if "BASIC_AUTH" in access:
        user = read_secret(clients, mapping, access["BASIC_AUTH"], "username", "password")
        pair = f"{user['username']}:{user['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    if not url.startswith("https://"):
        return RegistryAccess(headers=headers, context=None)
    authority = None
    if "SERVER_ROOT_CA_CERTIFICATE" in access:
        found = read_secret(clients, mapping, access["SERVER_ROOT_CA_CERTIFICATE"], "certificate")
        authority = found["certificate"]
    try:
        context = ssl.create_default_context(cadata=authority)
        if "CLIENT_CERTIFICATE_TLS_AUTH" in access:
            own = read_secret(clients, mapping, access["CLIENT_CERTIFICATE_TLS_AUTH"], "certificate", "privateKey")
            _load(context, own)
    except (ssl.SSLError, ValueError) as wrong:
        raise SourceError(f"Provided certificate or private key is invalid. {wrong}", passes=False) from wrong
    return RegistryAccess(headers=headers, context=context)


def _load(context: ssl.SSLContext, own: Mapping[str, str]) -> None:
    """Python reads a key from a file only: one that nobody else may read, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="rie-registry-") as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        path.write_text(f"{own['certificate']}\n{own['privateKey']}\n")
        context.load_cert_chain(path, password=own.get("privateKeyPassword") or "")

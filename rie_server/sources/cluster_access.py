"""How a DocumentDB cluster is found and entered. Thread-safe and without memory, as ``access`` is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.broker_address import BasicAuth
from rie_server.model.event_source import EventSourceMapping
from rie_server.sources.access import CONFIGURATION, Clients, basic_auth, call


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddress:
    """
    Attributes:
        url: ``mongodb://host:port,...`` with whatever options it needs.
        auth: None where the URL names a user.
    """

    url: str
    auth: BasicAuth | None

    def options(self) -> dict[str, Any]:
        """What MongoClient takes beside the URL."""
        return {} if self.auth is None else {"username": self.auth.username, "password": self.auth.password}


class ClusterAccess:
    """
    Args:
        addresses: what the user has set, URL by ARN; it wins over what docdb:DescribeDBClusters says.
    """

    def __init__(self, clients: Clients, addresses: Mapping[str, str]) -> None:
        self._clients = clients
        self._addresses = addresses

    def enter(self, mapping: EventSourceMapping) -> ClusterAddress:
        """
        Raises:
            SourceError: no such cluster or secret, or no access.
        """
        url = self.locate(mapping)
        authority = url.split("://", 1)[1].split("/", 1)[0]
        return ClusterAddress(url=url, auth=None if "@" in authority else basic_auth(self._clients, mapping))

    def locate(self, mapping: EventSourceMapping) -> str:
        """A MongoDB URL. A cluster that AWS runs wants TLS: its certificate authority is one of those that OpenSSL
        trusts on this machine, or ``SSL_CERT_FILE`` names it.
        """
        arn = mapping.source_arn or ""
        if arn in self._addresses:
            return self._addresses[arn]
        region, name = arn.split(":")[3], arn.rsplit(":", 1)[-1]

        def describe() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = self._clients.client("docdb", region).describe_db_clusters(
                DBClusterIdentifier=name
            )
            return answer

        clusters = call("DescribeDBClusters", "DocumentDB", describe).get("DBClusters") or ()
        if not clusters or not clusters[0].get("Endpoint"):
            raise SourceError(f"{CONFIGURATION} The cluster {arn} has no endpoint.", passes=False)
        host, port = clusters[0]["Endpoint"], clusters[0].get("Port", 27017)
        return f"mongodb://{host}:{port}/?tls=true&replicaSet=rs0&readPreference=secondaryPreferred&retryWrites=false"

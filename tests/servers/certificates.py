"""Certificates that a test makes for itself: an authority, a server on this machine, and a client with a password."""

import datetime as dt
import ipaddress
from pathlib import Path

from tests.conftest import require

KEY_PASSWORD = "key-secret"


class Certificates:
    """
    Attributes:
        authority: the file with the certificate that has signed the others.
        server_store: the file with the server's key and certificate.
        authority_pem, client_pem, client_key_pem: as texts; the client's key is encrypted with ``KEY_PASSWORD``.
        server_pem, server_key_pem: the same of the server, its key in the clear.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - moto brings it
        except ImportError:
            require("kafka", "cryptography is not installed")
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "server", "client")}
        pem = {
            name: _signed(name, key, keys["authority"]).public_bytes(serialization.Encoding.PEM).decode()
            for name, key in keys.items()
        }
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        clear = serialization.NoEncryption()
        secret = serialization.BestAvailableEncryption(KEY_PASSWORD.encode())
        self.authority_pem, self.server_pem, self.client_pem = pem["authority"], pem["server"], pem["client"]
        self.server_key_pem = keys["server"].private_bytes(encoding, form, clear).decode()
        self.client_key_pem = keys["client"].private_bytes(encoding, form, secret).decode()
        self.authority = folder / "authority.pem"
        self.authority.write_text(self.authority_pem)
        self.server_store = folder / "server.pem"
        self.server_store.write_text(self.server_key_pem + self.server_pem)


def _signed(name, key, authority_key):
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    def named(common_name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
    )
    if name == "server":
        places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
    return builder.sign(authority_key, hashes.SHA256())

"""Certificates for servers of these tests, and the authority that signs them."""

import datetime as dt
import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_NOW = dt.datetime.now(dt.UTC)


class Authority:
    """An authority that nobody trusts unless its file is named.

    Args:
        folder: where its files go.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority.test")])
        self.file = folder / "authority.pem"
        own = self._begin(self._name, self._key, -1, 1).add_extension(x509.BasicConstraints(True, None), True)
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server(self, *names: str, first_day: int = -1, last_day: int = 1) -> ssl.SSLContext:
        """A server's side of TLS with a certificate for *names*, valid from and to a day counted from today."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.test")])
        made = (
            self._begin(subject, key, first_day, last_day)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{'-'.join(names)}{first_day}{last_day}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + made.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _begin(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, first_day: int, last_day: int
    ) -> x509.CertificateBuilder:
        public, own = key.public_key(), x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + dt.timedelta(days=first_day))
            .not_valid_after(_NOW + dt.timedelta(days=last_day))
            .add_extension(own, False)
            .add_extension(issuer, False)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)

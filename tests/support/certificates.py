"""Certificates that are made when a test wants some, and TLS contexts with them."""

import contextlib
import datetime
import functools
import ipaddress
import pathlib
import ssl
import tempfile
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> Iterator[None]:
    """Have a client speak one version of TLS, for a time: TLS 1.2 has channel bindings, 1.3 has none."""
    before = context.minimum_version, context.maximum_version
    context.minimum_version = context.maximum_version = version
    yield
    context.minimum_version, context.maximum_version = before


@functools.cache
def make_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext, bytes]:
    """TLS contexts for a server that wants a certificate of its clients and for a client that has one.

    The third item is the client's certificate in DER form. Both sides have the same certificate.
    """
    pytest.importorskip('cryptography', reason='cryptography is not installed, which makes certificates')
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'loopback')])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    contexts = []
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, 'loopback.pem')
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + pem
        )
        for purpose in (ssl.Purpose.CLIENT_AUTH, ssl.Purpose.SERVER_AUTH):
            context = ssl.create_default_context(purpose, cadata=pem.decode())
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(file)
            contexts.append(context)
    return contexts[0], contexts[1], certificate.public_bytes(serialization.Encoding.DER)

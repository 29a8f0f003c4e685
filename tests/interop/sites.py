"""Starts the server program for the tests, and stops it again."""

import contextlib
import datetime
import functools
import ipaddress
import json
import pathlib
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

# Seconds for a server to start or to end. Nothing gets near it on any machine.
DEADLINE = 30


@dataclass(frozen=True)
class Site:
    """A running server: its URL, the path of its Unix socket if it has one, and what TLS clients need."""

    port: int | None
    unix_path: str | None = None
    context: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        scheme = 'ws' if self.context is None else 'wss'
        return f'{scheme}://127.0.0.1:{self.port or 80}/'


@functools.cache
def make_certificate() -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1: the path of a PEM file with its key, and the certificate alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, '127.0.0.1')])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(names, critical=False).add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = pathlib.Path(make_directory().name, 'certificate.pem')
    path.write_bytes(private + pem)
    return str(path), pem.decode()


@functools.cache
def make_directory() -> tempfile.TemporaryDirectory[str]:
    """A directory that goes away with the process; short enough for the path of a Unix socket."""
    return tempfile.TemporaryDirectory(prefix='wamp')


@contextlib.contextmanager
def running_site(
    server: str, *, unix: bool = False, tls: bool = False, program: str = 'site.py'
) -> Iterator[Site]:
    """A server process of a program in this directory. It has to end in good order: within the deadline, with
    status 0 and nothing on stderr that speaks of an error in it.
    """
    command = [sys.executable, str(pathlib.Path(__file__).with_name(program)), server]
    context = unix_path = None
    with tempfile.TemporaryDirectory(prefix='wamp') as directory:
        if unix:
            unix_path = f'{directory}/socket'
            command += ['--unix', unix_path]
        if tls:
            certificate, pem = make_certificate()
            command += ['--tls', certificate]
            context = ssl.create_default_context(cadata=pem)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate(timeout=DEADLINE)[1]
            yield Site(json.loads(line)['port'], unix_path, context)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
            process.communicate()
        # aiohttp and uvicorn die of the signal once they are done; our own server returns.
        assert process.returncode in ((0,) if server == 'native' else (0, -signal.SIGTERM)), errors
        unexpected = [
            text
            for text in errors.split('Traceback')
            if text and 'a secret of the server' not in text
        ]
        assert 'Error' not in ''.join(unexpected[1:]), errors

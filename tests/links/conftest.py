"""Servers that are reached by TLS and by a socket in the file system."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.plugin import MakeServer
from tests.support.servers import Server, free_port

_DAYS = "2"


@dataclass(frozen=True)
class Ways:
    """One server, and the URLs by which it is reached."""

    server: Server
    tls_url: str
    tls_trusting_nobody: str
    unix_url: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give the files of a certificate for 127.0.0.1, signed by itself, and of its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    held, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(held)),
        ],
        check=True,
        capture_output=True,
    )
    return held, key


@pytest.fixture
def ways(make_redis: MakeServer, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Ways]:
    """Give a server of the test's own that listens in every way it can."""
    held, key = certificate
    # A path for a socket must be short.
    folder = Path("/tmp") / f"fw-{tmp_path.name[-20:]}-{free_port()}"
    folder.mkdir()
    socket_path, port = folder / "s", free_port()
    server = make_redis(
        arguments=(
            *("--tls-port", str(port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(held), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(held), "--unixsocket", str(socket_path)),
        )
    )
    url = f"rediss://127.0.0.1:{port}/0"
    yield Ways(server, f"{url}?ssl_ca_certs={held}", url, f"unix://{socket_path}")
    shutil.rmtree(folder)

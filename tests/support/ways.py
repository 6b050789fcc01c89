"""Servers that are reached by TLS and by a socket in the file system."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.plugin import MakeServer
from tests.support.resp import ServerError
from tests.support.servers import Server, free_port

__all__ = ["Ways", "by_socket", "certificate", "ways"]

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
def by_socket(make_redis: MakeServer, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """Give a server of the test's own that listens on a socket file too, and the URL of that."""
    # A path for a socket must be short.
    folder = Path("/tmp") / f"fw-{tmp_path.name[-20:]}-{free_port()}"
    folder.mkdir()
    yield make_redis(arguments=("--unixsocket", str(folder / "s"))), f"unix://{folder / 's'}"
    shutil.rmtree(folder)


@pytest.fixture
def ways(by_socket: tuple[Server, str], certificate: tuple[Path, Path]) -> Ways:
    """Give a server of the test's own that listens in every way it can."""
    server, unix_url = by_socket
    held, key = certificate
    port = free_port()
    try:
        server.ask(
            *("CONFIG", "SET", "tls-port", port, "tls-auth-clients", "no"),
            *("tls-cert-file", str(held), "tls-key-file", str(key), "tls-ca-cert-file", str(held)),
        )
    except (ServerError, OSError):  # one that was built without TLS refuses, or falls over
        if "connection type tls" in server.log() or not server.ask("CONFIG", "GET", "tls-port"):
            pytest.skip("this server was built without TLS")
        raise
    url = f"rediss://127.0.0.1:{port}/0"
    return Ways(server, f"{url}?ssl_ca_certs={held}", url, unix_url)

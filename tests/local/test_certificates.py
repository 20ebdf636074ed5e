"""Downloads behind a proxy whose certificate only the system's store has."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jgo.maven import MavenContext

from local import certificates
from local import elasticsearch_jars as jars
from tests.support.servers import ROOT

JAR = "org/example/thing/1.0/thing-1.0.jar"


def write_certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A company's proxy")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The certificate of the repository."""
    return write_certificate(tmp_path)


@pytest.fixture
def repository(tmp_path: Path, certificate: Path) -> Iterator[str]:
    """The address of a Maven repository with one jar."""
    (tmp_path / "repository" / JAR).parent.mkdir(parents=True)
    (tmp_path / "repository" / JAR).write_bytes(b"the jar")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "repository"))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has set nothing; what is set meanwhile goes away."""
    for name in (
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        "UV_SYSTEM_CERTS",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_jars_are_fetched_with_the_systems_certificates(
    repository: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def context(repo_cache: Path, **options: Any) -> MavenContext:
        return MavenContext(repo_cache=repo_cache, remote_repos={"ours": repository}, **options)

    monkeypatch.setattr("jgo.maven.MavenContext", context)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # OpenSSL's name for another store
    jars._download(tmp_path / "cache", [JAR], print)
    assert (tmp_path / "cache" / JAR).read_bytes() == b"the jar"


def test_certificates_that_the_user_chose_stay(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", "theirs.pem")
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    certificates.trust_the_system()
    assert "REQUESTS_CA_BUNDLE" not in os.environ
    assert os.environ["UV_SYSTEM_CERTS"] == "0"


def test_a_program_that_is_started_gets_the_systems_certificates(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    certificates.trust_the_system()
    assert os.environ["REQUESTS_CA_BUNDLE"] == str(certificate)
    assert os.environ["UV_SYSTEM_CERTS"] == "1"


def test_a_folder_without_certificates_is_no_store(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "missing.pem")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    assert certificates.system_store() is None
    (tmp_path / "empty").mkdir()
    assert certificates.system_store() is None
    certificate.rename(tmp_path / "empty" / "0a1b2c3d.0")
    assert certificates.system_store() == str(tmp_path / "empty")


def recipe(monkeypatch: pytest.MonkeyPatch, store: Path) -> str:
    """Return the commands of `make install` on a machine with this store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    monkeypatch.setenv("SSL_CERT_DIR", "missing")
    command = ["make", "--dry-run", "--always-make", "install"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_pip_and_uv_take_the_systems_certificates(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = recipe(monkeypatch, certificate)
    assert f"PIP_CERT={certificate}" in told
    assert "UV_SYSTEM_CERTS=1 .venv/bin/uv pip sync" in told


def test_pip_and_uv_keep_their_own_certificates_where_the_system_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = recipe(monkeypatch, Path("missing"))
    assert ".venv/bin/uv pip sync" in told
    assert "PIP_CERT" not in told
    assert "UV_SYSTEM_CERTS" not in told

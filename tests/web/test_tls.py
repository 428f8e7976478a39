"""Serving by HTTPS, and certificates that cannot be used."""

import ssl
import subprocess
import threading
import urllib.request

import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.web import create_app
from minimax_al.web.serving import address, run
from minimax_al.web.tls import Certificate


def make(folder, name, *more):
    """Make a self-signed certificate for localhost with the command of OpenSSL."""
    chain, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    named = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-out",
        str(chain),
        "-keyout",
        str(key),
    ]
    try:
        subprocess.run([*command, *named, *(more or ["-nodes"])], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("the command openssl is not installed")
    return chain, key


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make(tmp_path_factory.mktemp("tls"), "one")


def test_the_page_is_served_by_https(campaign, files, monkeypatch):
    chain, key = files
    servers, ready = [], threading.Event()
    start = __import__("uvicorn").Server.startup

    async def started(server, sockets):
        await start(server, sockets=sockets)
        servers.append(server)
        ready.set()

    monkeypatch.setattr("uvicorn.Server.startup", started)
    ports = []
    arguments = (create_app(campaign), "127.0.0.1", 0, ports.append, Certificate.checked(chain, key))
    thread = threading.Thread(target=run, args=arguments)
    thread.start()
    assert ready.wait(30)
    try:
        page = address("localhost", ports[0], None, is_secure=True)
        trusted = ssl.create_default_context(cafile=chain)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        with opener.open(f"{page}api/campaign", timeout=30) as answer:
            assert b'"herons"' in answer.read()
    finally:
        servers[0].should_exit = True
        thread.join()


def test_certificate_and_key_may_be_one_file(files, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(files[0].read_text() + files[1].read_text())
    assert Certificate.checked(both, None) == (both, both)
    assert Certificate.checked(None, None) is None


def test_unusable_certificates_are_one_sentence(files, tmp_path):
    chain, key = files
    other, other_key = make(tmp_path, "other")
    locked, locked_key = make(tmp_path, "locked", "-passout", "pass:secret")
    (tmp_path / "text").write_text("no certificate")
    for given, sentence in (
        ((tmp_path / "missing", key), "missing' is not a file: give a PEM file"),
        ((chain, tmp_path), "is not a file"),
        ((None, key), "needs its certificate: give it with --certificate"),
        (
            (chain, None),
            "are not a certificate and its private key in PEM form without a password; give the private key",
        ),
        ((tmp_path / "text", key), "are not a certificate and its private key"),
        ((chain, other_key), "belongs to another certificate"),
        ((locked, locked_key), "without a password"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            Certificate.checked(*given)
    assert Certificate.checked(other, other_key) == (other, other_key)

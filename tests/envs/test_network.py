# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's network, as an index on this machine plays it: what urllib and the real uv get through to, and how."""

import base64
import contextlib
import functools
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.failures import classify
from image_to_3d.envs.network import download, pipconfig
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.places import Places, default_root
from image_to_3d.envs.uv.uvrun import uv_variables
from image_to_3d.envs.uv.uvtool import find_or_fetch

LIMIT = 60.0
LOGIN = "Basic " + base64.b64encode(b"me:p@ss").decode()
REAL_UV: list[Path] = []
with contextlib.suppress(EnvironmentProblem):
    REAL_UV.append(find_or_fetch(Places(default_root()).tools, PipConfig(no_index=True)))


def make_wheel(folder: Path) -> None:
    """The package tiny 1.0, of one module."""
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny.py", "answer = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@dataclass
class Server:
    """An index with the package tiny, and a proxy for others of its kind; remembers what it was asked."""

    port: int
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def index(self) -> str:
        return f"127.0.0.1:{self.port}/simple"


class Handler(http.server.SimpleHTTPRequestHandler):
    """``wants``: the header and the value without which nothing is given. ``sends_to``: where files are instead."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments, server_: Server, wants: tuple[str, str] | None, sends_to: str | None, **more):
        self.noted, self.wants, self.sends_to = server_, wants, sends_to
        super().__init__(*arguments, **more)

    def do_GET(self):
        self.noted.asked.append((self.path, self.headers["Authorization"]))
        if self.wants and self.headers[self.wants[0]] != self.wants[1]:
            self.send_error(401 if self.wants[0] == "Authorization" else 407)
        elif self.path.startswith("http://"):  # as a proxy is asked
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.path) as answer:
                content = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(content)
        elif self.sends_to and self.path.endswith(".whl"):
            self.send_response(302)
            self.send_header("Location", self.sends_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts servers of the folder ``served``, which holds an index."""
    folder = tmp_path / "served"
    (folder / "simple" / "tiny").mkdir(parents=True)
    make_wheel(folder)
    links = "".join(f'<a href="/{path.name}">{path.name}</a>' for path in folder.glob("*.whl"))
    (folder / "simple" / "tiny" / "index.html").write_text(links)
    with contextlib.ExitStack() as stack:

        def start(wants=None, certificate: Path | None = None, sends_to: str | None = None) -> Server:
            noted = Server(0)
            handler = functools.partial(Handler, server_=noted, wants=wants, sends_to=sends_to, directory=str(folder))
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            if certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            noted.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return noted

        yield start


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings of the developer's own."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy") or "CERT" in name or "BUNDLE" in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


def with_urllib(config: PipConfig, tmp_path: Path) -> str:
    """The index page through urllib; returns what it says of tiny, or why not."""
    address = f"{config.index_url}/tiny/"
    try:
        page = download.read(address, config).decode()
        name = page.split('"')[1]
        wheel = download.read(urlsplit(address)._replace(path=name).geturl(), config)
    except OSError as error:
        return str(getattr(error, "reason", error))
    return "found" if wheel.startswith(b"PK") else page


def with_uv(config: PipConfig, tmp_path: Path) -> str:
    """The same through the real uv."""
    variables = uv_variables(Places(tmp_path / "data"), config.uv_variables()) | {"UV_HTTP_RETRIES": "0"}
    (tmp_path / "tiny.in").write_text("tiny")
    python = ["--python", sys.executable, "--no-python-downloads", "--no-header", "--no-build"]
    done = subprocess.run(
        [REAL_UV[0], "pip", "compile", *python, str(tmp_path / "tiny.in")],
        env=variables,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return "found" if "tiny==1.0" in done.stdout else done.stderr


WAYS = [
    pytest.param(with_urllib, id="urllib"),
    pytest.param(with_uv, id="uv", marks=pytest.mark.skipif(not REAL_UV, reason="no uv is here yet")),
]
both = pytest.mark.parametrize("get", WAYS)


@both
def test_an_index_without_any_hurdle_is_read(get, serve, tmp_path):
    assert get(PipConfig(index_url=f"http://{serve().index}"), tmp_path) == "found"


@both
def test_a_login_in_the_address_is_used(get, serve, tmp_path):
    server = serve(wants=("Authorization", LOGIN))
    assert get(PipConfig(index_url=f"http://me:p%40ss@{server.index}"), tmp_path) == "found"


@both
def test_a_login_in_netrc_is_used(get, serve, tmp_path, monkeypatch):
    server = serve(wants=("Authorization", LOGIN))
    (tmp_path / "logins").write_text("machine 127.0.0.1 login me password p@ss\n")
    (tmp_path / "logins").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "logins"))
    assert get(PipConfig(index_url=f"http://{server.index}"), tmp_path) == "found"


@pytest.mark.skipif(not REAL_UV, reason="no uv is here yet")
@pytest.mark.skipif(os.name != "posix", reason="a shell script plays the keyring")
def test_a_login_in_the_keyring_is_used_by_uv_where_pip_would(serve, tmp_path, monkeypatch):
    server = serve(wants=("Authorization", LOGIN))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "keyring").write_text('#!/bin/sh\ncase "$*" in *127.0.0.1*me*) echo p@ss;; *) exit 1;; esac\n')
    (tmp_path / "bin" / "keyring").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me@{server.index}")
    assert with_uv(pipconfig.read(), tmp_path) == "found"


@both
def test_a_login_that_is_missing_is_told(get, serve, tmp_path):
    server = serve(wants=("Authorization", LOGIN))
    said = get(PipConfig(index_url=f"http://{server.index}"), tmp_path)
    assert "401" in said


@both
def test_a_login_is_not_handed_on_to_another_machine(get, serve, tmp_path):
    storage = serve()
    server = serve(wants=("Authorization", LOGIN), sends_to=f"http://localhost:{storage.port}")
    assert get(PipConfig(index_url=f"http://me:p%40ss@{server.index}"), tmp_path) == "found"
    assert storage.asked
    assert {login for _, login in storage.asked} == {None}


def test_a_login_goes_along_where_a_redirect_stays_on_the_machine(serve, tmp_path):
    server = serve(wants=("Authorization", LOGIN))
    address = f"http://me:p%40ss@{server.index}/tiny"  # without the stroke at the end: redirected to the folder
    assert b"tiny-1.0" in download.read(address, PipConfig())
    assert len(server.asked) == 2


@both
@pytest.mark.parametrize("way", ["pip", "http_proxy", "all_proxy"])
def test_a_proxy_is_used(get, way, serve, tmp_path, monkeypatch):
    proxy, index = serve(), serve()
    config = PipConfig(index_url=f"http://{index.index}")
    if way == "pip":
        config = PipConfig(index_url=f"http://{index.index}", proxy=f"http://127.0.0.1:{proxy.port}")
    else:
        monkeypatch.setenv(way, f"http://127.0.0.1:{proxy.port}")
    assert get(config, tmp_path) == "found"
    assert all(path.startswith("http://") for path, _ in proxy.asked)
    assert proxy.asked


@both
def test_a_proxys_login_is_used(get, serve, tmp_path):
    proxy, index = serve(wants=("Proxy-Authorization", LOGIN)), serve()
    config = PipConfig(index_url=f"http://{index.index}", proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
    assert get(config, tmp_path) == "found"
    assert proxy.asked


@both
def test_what_no_proxy_names_is_asked_directly(get, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "example.org,127.0.0.1")
    config = PipConfig(index_url=f"http://{serve().index}", proxy="http://127.0.0.1:9")
    assert get(config, tmp_path) == "found"


@both
def test_a_proxy_that_is_not_there_is_told(get, serve, tmp_path):
    said = get(PipConfig(index_url=f"http://{serve().index}", proxy="http://127.0.0.1:9"), tmp_path)
    assert classify(said).kind in ("proxy", "network")


def test_a_socks_proxy_is_refused_in_words(monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(OSError, match="a SOCKS proxy cannot be used here: name an HTTP proxy"):
        download.read("http://127.0.0.1:9/simple", PipConfig())


# ------------------------------------------------------------------------------------------------ certificates


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> tuple[Path, Path]:
    """The certificate of a company's own authority, and a server's key and certificate made by it."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl makes the certificates, and is not here")
    folder = tmp_path_factory.mktemp("authority")

    def run(*arguments: str) -> None:
        subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True, timeout=LIMIT)

    new = ("-newkey", "rsa:2048", "-nodes", "-subj")
    run("req", "-x509", *new, "/CN=Company", "-keyout", "company.key", "-out", "company.pem", "-days", "2")
    run("req", *new, "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    signing = ("-CA", "company.pem", "-CAkey", "company.key", "-CAcreateserial", "-extfile", "ext", "-days", "2")
    run("x509", "-req", "-in", "server.csr", *signing, "-out", "server.crt")
    both_ = folder / "server.pem"
    both_.write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    return folder / "company.pem", both_


def hashed(certificate: Path, folder: Path) -> Path:
    """A folder as OpenSSL wants it: each certificate by the hash of its subject."""
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
    name = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout.strip()
    shutil.copy(certificate, folder / f"{name}.0")
    return folder


@both
def test_an_authority_that_nobody_named_is_not_trusted(get, serve, tmp_path, authority):
    said = get(PipConfig(index_url=f"https://{serve(certificate=authority[1]).index}"), tmp_path)
    assert classify(said).kind == "proxy"


@both
@pytest.mark.parametrize("way", ["PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_companys_authority_is_trusted_however_it_is_named(get, way, serve, tmp_path, authority, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://{serve(certificate=authority[1]).index}")
    monkeypatch.setenv(way, str(authority[0]))
    assert get(pipconfig.read(), tmp_path) == "found"


@both
@pytest.mark.parametrize("way", ["PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_so_is_a_folder_of_authorities(get, way, serve, tmp_path, authority, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://{serve(certificate=authority[1]).index}")
    monkeypatch.setenv(way, str(hashed(authority[0], tmp_path / "certs")))
    assert get(pipconfig.read(), tmp_path) == "found"


@both
def test_a_bundle_that_is_gone_does_not_count(get, serve, tmp_path, authority, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/gone.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(authority[0]))
    monkeypatch.setenv("PIP_INDEX_URL", f"https://{serve(certificate=authority[1]).index}")
    assert get(pipconfig.read(), tmp_path) == "found"


@both
def test_a_certificate_file_of_pips_that_is_gone_is_named(get, serve, tmp_path, authority):
    server = serve(certificate=authority[1])
    said = get(PipConfig(index_url=f"https://{server.index}", cert="/gone/company.pem"), tmp_path)
    assert "/gone/company.pem" in said


@both
def test_a_trusted_host_needs_no_certificate(get, serve, tmp_path, authority):
    server = serve(certificate=authority[1])
    config = PipConfig(index_url=f"https://{server.index}", trusted_hosts=(f"127.0.0.1:{server.port}",))
    assert get(config, tmp_path) == "found"


def test_a_python_that_looks_for_certificates_where_there_are_none_takes_the_systems(
    serve, tmp_path, authority, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", "/gone.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/gone")
    address = f"https://{serve(certificate=authority[1]).index}"
    monkeypatch.setattr(download, "_BUNDLES", ("/also/gone.pem", str(authority[0])))
    assert with_urllib(PipConfig(index_url=address), tmp_path) == "found"


# ------------------------------------------------------------------------------------------------ wheelhouses


@pytest.mark.skipif(not REAL_UV, reason="no uv is here yet")
@pytest.mark.parametrize("written", ["plain", "relative", "address", "two"])
@pytest.mark.parametrize("name", ["wheels", "my wheels", "wheels, all of them", "Räder"])
def test_a_wheelhouse_is_found_whatever_it_is_called_and_however_that_is_written(name, written, tmp_path, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    make_wheel(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    if written == "plain":  # as the option --wheelhouse has it
        config = PipConfig(find_links=(str(folder),), no_index=True)
    else:
        links = {"relative": name, "address": folder.as_uri(), "two": f"/nowhere/at/all {folder.as_uri()}"}[written]
        if " " in name and written == "relative":
            pytest.skip("pip divides them at spaces")
        (tmp_path / "nowhere").mkdir()
        monkeypatch.setenv("PIP_FIND_LINKS", links.replace("/nowhere/at/all", str(tmp_path / "nowhere")))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        config = pipconfig.read()
    assert config.folders[-1] == folder
    assert with_uv(config, tmp_path) == "found"


@pytest.mark.skipif(not REAL_UV, reason="no uv is here yet")
def test_an_index_that_is_a_folder_is_one_for_uv_too(serve, tmp_path, monkeypatch):
    served = tmp_path / "served"
    page = served / "simple" / "tiny" / "index.html"
    page.write_text(page.read_text().replace('href="/', 'href="../../'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "served/simple")
    assert with_uv(pipconfig.read(), tmp_path) == "found"

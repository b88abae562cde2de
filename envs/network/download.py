# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads small files from the network with urllib, through the user's proxy and certificates. Knows no package."""

import base64
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPMessage
from types import MappingProxyType
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from .logins import find_login
from .pipconfig import PipConfig

_SECONDS = 30.0
_CHUNK = 1 << 18

# Where systems keep the certificates they trust; for a Python that was built elsewhere and looks elsewhere, as the ones
# in Blender's own downloads.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)

Told = Callable[[int, int | None], None]


def read(
    address: str, config: PipConfig, told: Told | None = None, headers: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The bytes at ``address`` (https, http or file; may hold user and password). Raises OSError or ValueError.

    ``told`` gets to know the bytes so far, and of how many if the server says so. ``headers`` are sent along, for
    example to ask for a part of a file.
    """
    parts = urlsplit(address)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(plain, headers=dict(headers))
    if login := find_login(parts, config.keyring):
        # Not to be handed on to another machine: storage that an index redirects to refuses it, or is not its friend.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    handlers = [
        urllib.request.HTTPSHandler(context=_tls(config, parts.hostname)),
        urllib.request.ProxyHandler(_proxies(config)),
        _Redirects(),
    ]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_timeout(config)) as answer:
            return _all_of(answer, told)
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.reason}") from error


def without_password(text: str) -> str:
    """``text`` as it may be shown or logged: addresses in it lose their user and password."""
    return re.sub(r"//[^/\s]*@", "//", text)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Takes the login along where a redirect stays on the same machine."""

    def redirect_request(
        self,
        request: urllib.request.Request,
        file: IO[bytes],
        code: int,
        reason: str,
        headers: HTTPMessage,
        target: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(request, file, code, reason, headers, target)
        if following and urlsplit(target)[:2] == urlsplit(request.full_url)[:2]:
            following.unredirected_hdrs.update(request.unredirected_hdrs)
        return following


def _all_of(answer: IO[bytes], told: Told | None) -> bytes:
    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    content = bytearray()
    while chunk := answer.read(_CHUNK):
        content += chunk
        if told:
            told(len(content), total)
    if total is not None and len(content) < total:
        raise OSError(f"the connection was closed after {len(content)} of {total} bytes")
    return bytes(content)


def _proxies(config: PipConfig) -> dict[str, str]:
    """By scheme. no_proxy is honoured by urllib itself."""
    known = urllib.request.getproxies()
    found = {scheme: config.proxy or known.get(scheme) or known.get("all") for scheme in ("http", "https")}
    for proxy in found.values():
        if proxy and proxy.lower().startswith("socks"):
            raise OSError("a SOCKS proxy cannot be used here: name an HTTP proxy")
    return {scheme: proxy for scheme, proxy in found.items() if proxy}


def _timeout(config: PipConfig) -> float:
    try:
        return float(config.timeout or _SECONDS)
    except ValueError:
        return _SECONDS


def _tls(config: PipConfig, host: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath or context.cert_store_stats()["x509_ca"]):
        for bundle in filter(os.path.exists, _BUNDLES):
            context.load_verify_locations(cafile=bundle)
            break
    _load(context, config)
    if host in {trusted.partition(":")[0] for trusted in config.trusted_hosts}:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _load(context: ssl.SSLContext, config: PipConfig) -> None:
    """The certificates that the user has named."""
    try:
        if config.cert:
            place = {"capath": config.cert} if os.path.isdir(config.cert) else {"cafile": config.cert}
            context.load_verify_locations(**place)
        if config.client_cert:
            context.load_cert_chain(config.client_cert)
    except OSError as error:  # ssl.SSLError among them
        named = config.client_cert if config.cert and os.path.exists(config.cert) else config.cert
        raise OSError(f"the certificate file {named} cannot be used: correct pip's configuration") from error

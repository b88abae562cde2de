# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads small files from the network with urllib, through the user's proxy, certificates and logins. Knows no package.

Logins are found where pip finds them (https://pip.pypa.io/en/stable/topics/authentication/), but that no keyring is
asked: only uv does that.
"""

import base64
import netrc
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from .pipconfig import PipConfig

_SECONDS = 30.0

# Where systems keep the certificates they trust; for a Python that was built elsewhere and looks elsewhere, as the ones
# in Blender's own downloads.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)


def read(address: str, config: PipConfig, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The bytes at ``address`` (https, http or file; may hold user and password). Raises OSError or ValueError.

    ``headers`` are sent along, for example to ask for a part of a file.
    """
    parts = urlsplit(address)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(plain, headers=dict(headers))
    if login := _login(parts):
        # Not to be handed on to another machine: storage that an index redirects to refuses it, or is not its friend.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    tls = urllib.request.HTTPSHandler(context=_tls(config, parts.hostname))
    opener = urllib.request.build_opener(tls, urllib.request.ProxyHandler(_proxies(config)), _Redirects())
    try:
        with opener.open(request, timeout=_timeout(config)) as answer:
            content, length = answer.read(), answer.headers.get("Content-Length", "")
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.reason}") from error
    if length.isdigit() and len(content) < int(length):
        raise OSError(f"the connection was closed after {len(content)} of {length} bytes")
    return content


def without_password(text: str) -> str:
    """``text`` as it may be shown or logged: addresses in it lose their user and password."""
    return re.sub(r"//[^/\s]*@", "//", text)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Takes the login along where a redirect stays on the same machine."""

    def redirect_request(self, request, file, code, reason, headers, target):  # noqa: PLR0913 as urllib calls it
        following = super().redirect_request(request, file, code, reason, headers, target)
        if following and urlsplit(target)[:2] == urlsplit(request.full_url)[:2]:
            following.unredirected_hdrs.update(request.unredirected_hdrs)
        return following


def _login(parts: SplitResult) -> str | None:
    """``user:password`` for the address ``parts``, from itself or netrc; None where none is known."""
    if parts.scheme not in ("http", "https"):
        return None
    user = unquote(parts.username or "")
    if parts.password is not None:
        return f"{user}:{unquote(parts.password)}"
    paths = [Path(path).expanduser() for path in (os.environ.get("NETRC", ""), "~/.netrc", "~/_netrc") if path]
    try:
        entry = netrc.netrc(str(next(filter(Path.exists, paths), paths[0]))).authenticators(parts.hostname or "")
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):  # there is none, or it cannot be read: as pip has it
        entry = None
    if entry and entry[2] and user in ("", entry[0]):
        return f"{entry[0]}:{entry[2]}"
    return f"{user}:" if user else None


def _proxies(config: PipConfig) -> dict[str, str]:
    """By scheme. no_proxy is honoured by urllib itself."""
    known = urllib.request.getproxies()
    found = {scheme: config.proxy or known.get(scheme) or known.get("all") for scheme in ("http", "https")}
    if any(proxy and proxy.lower().startswith("socks") for proxy in found.values()):
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
    named = config.cert
    try:
        if config.cert:
            place = {"capath": config.cert} if os.path.isdir(config.cert) else {"cafile": config.cert}
            context.load_verify_locations(**place)
        named = config.client_cert
        if config.client_cert:
            context.load_cert_chain(config.client_cert)
    except OSError as error:  # ssl.SSLError among them
        raise OSError(f"the certificate file {named} cannot be used: correct pip's configuration") from error
    if host in {trusted.partition(":")[0] for trusted in config.trusted_hosts}:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context

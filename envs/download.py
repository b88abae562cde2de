# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads small files from the network with urllib, through the user's proxy and certificates. Knows no package."""

import base64
import re
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from .pipconfig import PipConfig

_SECONDS = 30


def read(address: str, config: PipConfig, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes at ``address`` (https, http or file; may hold user and password). Raises OSError or ValueError.

    ``headers`` are sent along, for example to ask for a part of a file.
    """
    parts = urlsplit(address)
    request = urllib.request.Request(
        urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), headers=dict(headers or {})
    )
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=_tls(config, parts.hostname))]
    if config.proxy:
        handlers.append(urllib.request.ProxyHandler({"http": config.proxy, "https": config.proxy}))
    with urllib.request.build_opener(*handlers).open(request, timeout=float(config.timeout or _SECONDS)) as answer:
        return answer.read()


def without_password(text: str) -> str:
    """``text`` as it may be shown or logged: addresses in it lose their user and password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _tls(config: PipConfig, host: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if config.cert:
        context.load_verify_locations(cafile=config.cert)
    if config.client_cert:
        context.load_cert_chain(config.client_cert)
    if host in {trusted.partition(":")[0] for trusted in config.trusted_hosts}:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context

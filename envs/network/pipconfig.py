# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's pip configuration, because uv does not read it: where packages may be fetched from, and how to get there.

Follows pip's documentation (https://pip.pypa.io/en/stable/topics/configuration/): the global, user and site files, then
PIP_CONFIG_FILE, each overriding the ones before; section [install] over [global]; PIP_* variables over all files.
Knows nothing of uv but the names of its variables.
"""

import configparser
import math
import os
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import EnvironmentProblem

PYPI = "https://pypi.org/simple"
_SYSTEM = Path("/etc/pip.conf")
_FILE = "pip.ini" if sys.platform == "win32" else "pip.conf"


@dataclass(frozen=True)
class PipConfig:
    """What of pip's configuration matters here. ``find_links`` are folders, files or URLs; the rest as in pip."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout: str | None = None
    retries: str | None = None
    keyring: bool = False  # logins are asked of the program keyring

    @property
    def folders(self) -> list[Path]:
        """The find-links that are folders on this machine: wheelhouses."""
        paths = [local_path(entry) for entry in self.find_links]
        return [path for path in paths if path is not None and path.is_dir()]

    @property
    def indexes(self) -> list[str]:
        """Every index that may be asked, the main one first."""
        return [] if self.no_index else [self.index_url or PYPI, *self.extra_index_urls]

    def uv_variables(self) -> dict[str, str]:
        """The same for uv. Variables rather than options: addresses may hold passwords, and everyone can see options.

        pip asks all indexes alike and takes the best version, which uv calls unsafe; here every package but torch is
        pinned by its sha256, so an index cannot slip another file in. With one index it makes no difference, but that
        uv would no longer say that it was refused access (401, 403).
        """
        # The system's settings, which uv does not read; variables, which it reads, come first in them.
        proxies = urllib.request.getproxies() if sys.platform in ("win32", "darwin") else {}
        wanted = {
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_INDEX": " ".join(self.extra_index_urls),
            "UV_FIND_LINKS": ",".join(map(_without_comma, self.find_links)),
            "UV_INDEX_STRATEGY": "unsafe-best-match" if self.extra_index_urls else None,
            "UV_NO_INDEX": "1" if self.no_index else None,
            "UV_INSECURE_HOST": " ".join(self.trusted_hosts),
            "UV_KEYRING_PROVIDER": "subprocess" if self.keyring else None,
            "SSL_CERT_DIR" if self.cert and Path(self.cert).is_dir() else "SSL_CERT_FILE": self.cert,
            "SSL_CLIENT_CERT": self.client_cert,
            "UV_SYSTEM_CERTS": "1",
            "HTTP_PROXY": self.proxy or proxies.get("http"),
            "HTTPS_PROXY": self.proxy or proxies.get("https"),
            "UV_HTTP_TIMEOUT": _whole(self.timeout),
            "UV_HTTP_RETRIES": _whole(self.retries),
        }
        return {name: value for name, value in wanted.items() if value}


def read(variables: Mapping[str, str] = os.environ) -> PipConfig:
    """The configuration that a ``pip install`` started now would use."""
    # An empty variable is as good as none, as pip has it.
    own = {_key(name[4:]): value for name, value in variables.items() if name.startswith("PIP_") and value}
    options = _from_files(variables) | own
    # What requests, and so pip, takes where pip has no ``cert``. OpenSSL's own variables stay.
    bundles = [variables.get("REQUESTS_CA_BUNDLE"), variables.get("CURL_CA_BUNDLE")]
    bundle = next((path for path in bundles if path and Path(path).exists()), None)
    return PipConfig(
        index_url=_index(options.get("index-url") or options.get("pypi-url")),
        extra_index_urls=tuple(map(_index, options.get("extra-index-url", "").split())),
        find_links=tuple(map(_absolute, options.get("find-links", "").split())),
        no_index=options.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t"),
        cert=_absolute(options.get("cert")) or bundle,
        client_cert=_absolute(options.get("client-cert")),
        proxy=options.get("proxy") or None,
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        timeout=options.get("timeout") or options.get("default-timeout"),
        retries=options.get("retries"),
        keyring=options.get("keyring-provider") in ("import", "subprocess") and shutil.which("keyring") is not None,
    )


def configuration_files(variables: Mapping[str, str] = os.environ) -> list[Path]:
    """Every file that pip would read, the weakest first."""
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    site, own = Path(sys.prefix) / _FILE, Path(named).expanduser() if named else None
    # pip: a configuration file of one's own replaces the user's
    users = [] if own and own.exists() else _user_files(variables)
    return [*_global_files(variables), *users, site, *([own] if own else [])]


def local_path(location: str) -> Path | None:
    """The path of a file:// address or of a plain path; None for any other address."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if "://" in location else Path(location)


def _global_files(variables: Mapping[str, str]) -> list[Path]:
    if sys.platform == "win32":
        return [Path(variables.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / _FILE]
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip") / _FILE]
    shared = variables.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [*(Path(folder) / "pip" / _FILE for folder in shared.split(os.pathsep)), _SYSTEM]


def _user_files(variables: Mapping[str, str]) -> list[Path]:
    home = Path("~").expanduser()
    if sys.platform == "win32":
        roaming = Path(variables.get("APPDATA") or home / "AppData" / "Roaming")
        return [home / "pip" / _FILE, roaming / "pip" / _FILE]
    mac = home / "Library" / "Application Support" / "pip"
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    return [home / ".pip" / _FILE, (mac if sys.platform == "darwin" and mac.is_dir() else config) / _FILE]


def _from_files(variables: Mapping[str, str]) -> dict[str, str]:
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for path in configuration_files(variables):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            raise EnvironmentProblem(f"pip's configuration file {path} cannot be read: correct or remove it") from error
        for name, options in sections.items():
            if parser.has_section(name):
                options.update({_key(key): value for key, value in parser.items(name)})
    return sections["global"] | sections["install"]


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _index(location: str | None) -> str | None:
    """pip takes folders for indexes as well; uv and we want addresses."""
    return location if location is None or "://" in location else Path(_absolute(location)).as_uri()


def _without_comma(location: str) -> str:
    """A comma would divide it in uv's variable."""
    return Path(location).as_uri() if "," in location and "://" not in location else location.replace(",", "%2C")


def _whole(number: str | None) -> str | None:
    """uv wants whole seconds; pip takes 15.5 as well."""
    try:
        return number and str(math.ceil(float(number)))
    except ValueError:
        return None


def _absolute(location: str | None) -> str | None:
    """Paths as pip takes them, from the working directory; ours is another one by the time uv reads them."""
    return location if not location or "://" in location else str(Path(location).expanduser().absolute())

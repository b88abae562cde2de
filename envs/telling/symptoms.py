# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv, Python and operating systems say when something is wrong, and what to tell the user then. A table, no more.

Words are English where the system speaks the user's language, so numbers come first: Windows' "os error 32" and
"WinError 126" (learn.microsoft.com, "System Error Codes") are the same everywhere. uv's texts are those of uv 0.13,
provoked one by one where that was possible on Linux; the rest is from reports of users.
"""

import re
from dataclasses import dataclass

from ..errors import Kind

_WINDOWS_DLL = "install Microsoft's Visual C++ Redistributable from https://aka.ms/vs/17/release/vc_redist.x64.exe"
_LOCKED = (
    "another program holds a file{where}, mostly an antivirus program that looks at what was just written: try again, "
    "and if it stays, exclude the folder of Image to 3D from its watch"
)
_NO_PYTHON = (
    "install Python 3.11 or 3.12 (https://www.python.org) and try again, or name a mirror of uv's Pythons in the "
    "variable UV_PYTHON_INSTALL_MIRROR"
)


@dataclass(frozen=True)
class Symptom:
    """``pattern`` (without regard to case) means ``sentence``, which may name what the pattern's groups have found.

    Besides these, {host} is the machine that was asked, {path} the file or folder that it is about, and {where} the
    same in brackets, or nothing where it is not known.
    """

    kind: Kind
    pattern: re.Pattern[str]
    sentence: str


def _symptom(kind: Kind, pattern: str, sentence: str) -> Symptom:
    return Symptom(kind, re.compile(pattern, re.IGNORECASE), sentence)


# The first that is found counts: what can be told more exactly comes first.
_DISK = (
    _symptom(
        "space",
        r"no space left|not enough space|os error 112\b(?<!host is down \(os error 112)|winerror (?:112|39)\b",
        "the disk is full{where}: free some space and try again",
    ),
    _symptom(
        "space",
        r"dis[ck] quota|quota exceeded|winerror 1295\b|os error 1295\b",
        "your quota on this disk is used up{where}: free some space or choose a folder on another disk",
    ),
    _symptom(
        "locked",
        r"os error 225\b|winerror 225\b|contains a virus",
        "the antivirus program has blocked a file{where}: exclude the folder of Image to 3D from its watch, or ask "
        "those who look after this computer",
    ),
    _symptom(
        "locked",
        r"os error (?:4551|1260|577)\b|winerror (?:4551|1260|577)\b|application control policy|blocked by group policy",
        "a policy of this computer forbids to run a program{where}: ask those who look after it to allow the folder of "
        "Image to 3D",
    ),
    _symptom(
        "locked",
        r"(?:os error|winerror) (?:32|33|1224|1006)\b(?<!broken pipe \(os error 32)|used by another process"
        r"|os error -2147024786|text file busy|device or resource busy",
        _LOCKED,
    ),
    _symptom(
        "locked",
        r"failed to (?:rename|persist|update windows pe|remove)[^\n]*(?:\n[^\n]*)?\((?:os error|winerror) (?:5|2)\)",
        _LOCKED,
    ),
    _symptom(
        "locked",
        r"when waiting for lock",
        "another uv works with the same folder{where}: wait until it has ended, then try again",
    ),
    _symptom(
        "permission",
        r"read-only file system|os error (?:30|19)\b|winerror 19\b",
        "{path} is on a disk that cannot be written: choose another folder",
    ),
    _symptom(
        "permission",
        r"(?:file ?name|path) (?:is )?too long|os error 206\b|winerror 206\b",
        "the path {path} is too long: choose a folder nearer to the root of the disk",
    ),
    _symptom(
        "permission",
        r"permission denied|access is denied|operation not permitted|(?:os error|winerror) 5\b"
        r"(?<!input/output error \(os error 5)",
        "{path} cannot be written or run by you: choose another folder, or give yourself the right to",
    ),
    _symptom(
        "unknown",
        r"input/output error|structure needs cleaning|(?:os error|winerror) 1392\b|cyclic redundancy|stale file handle",
        "the disk reports errors{where}: check it, or choose a folder on another disk",
    ),
    _symptom(
        "unknown",
        r"too many open files",
        "too many files are open at once: close other programs, or raise the limit (ulimit -n), then try again",
    ),
)
_NETWORK = (
    _symptom(
        "certificate",
        r"invalid `ssl_cert_file`\. path does not exist: (?P<file>.+?)\. no default",
        "the certificate file {file} does not exist: correct pip's configuration (cert) or SSL_CERT_FILE",
    ),
    _symptom(
        "certificate",
        r"no valid certificates found in `ssl_cert_file`: (?P<file>.+?)\. no default",
        "the file {file} holds no certificates: correct pip's configuration (cert) or SSL_CERT_FILE",
    ),
    _symptom(
        "certificate",
        r"certificate expired|certificate has expired|not ?yet ?valid|notvalidyet",
        "the certificate of {host} is not valid at this time: set the computer's clock right; if it is, the server's "
        "certificate has expired",
    ),
    _symptom(
        "certificate",
        r"notvalidforname|hostname mismatch|certificate not valid for name",
        "{host} shows another machine's certificate: check the address, and whether a login page of the network is in "
        "the way",
    ),
    _symptom(
        "certificate",
        r"invalid peer certificate|certificate.verify.failed|unknownissuer|self.signed certificate|unable to get local "
        r"issuer",
        "the certificate of {host} is not trusted, as where a company or an antivirus program reads encrypted "
        "connections: name your network's certificate file in pip's configuration (cert) or in SSL_CERT_FILE",
    ),
    _symptom(
        "interpreter",
        r"failed to install cpython[^\n]*(?:\n(?!error)[^\n]*)*",
        "no Python 3.11 or 3.12 is on this machine, and none could be fetched from {host}: " + _NO_PYTHON,
    ),
    _symptom(
        "interpreter",
        r"no interpreter found|no download found|no python installation",
        "no Python 3.11 or 3.12 is on this machine, and none could be fetched: " + _NO_PYTHON,
    ),
    _symptom(
        "proxy",
        r"proxy authori[sz]ation required|407 proxy authentication",
        "the proxy wants a user and a password: write them into its address in pip's configuration (proxy) or in "
        "HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT",
    ),
    _symptom(
        "proxy",
        r"tunnel error: unsuccessful|tunnel connection failed: [45]",
        "the proxy refuses to connect to {host}: ask those who look after it to allow that",
    ),
    _symptom(
        "proxy",
        r"tunnel error|proxy error|cannot connect to proxy|error connecting to proxy",
        "the proxy cannot be reached: check its address in pip's configuration (proxy) or in HTTPS_PROXY",
    ),
    _symptom(
        "login",
        r"\b401 unauthorized|lack of valid authentication|http error 401",
        "{host} wants a user and a password: write them into the index's address in pip's configuration, or into netrc",
    ),
    _symptom(
        "login",
        r"\b403 forbidden|http error 403",
        "{host} refuses access (403): check the index's address and login in pip's configuration; a filter of the "
        "network may also forbid it",
    ),
    _symptom(
        "network",
        r"\((?P<status>(?:429|5\d\d) [\w -]+)\)|http error (?P<code>429|5\d\d)",
        "{host} cannot answer now ({status}): try again later; what was downloaded is kept",
    ),
    _symptom(
        "network",
        r"os error 10013\b|winerror 10013\b",
        "a firewall on this computer forbids uv to reach the network: allow it there",
    ),
    _symptom(
        "network",
        r"received corrupt message|wrong.version.number|http/0\.9|protocol error",
        "{host} does not speak https, or something on the way does not: check the index's address and the proxy",
    ),
    _symptom(
        "network",
        r"operation timed out|timed out|timeout|(?:os error|winerror) (?:110|60|10060)\b",
        "{host} did not answer in time: check the connection and the proxy, then try again; what was downloaded is "
        "kept",
    ),
    _symptom(
        "network",
        r"dns error|failed to lookup|name or service not known|getaddrinfo failed|nodename nor servname"
        r"|temporary failure in name resolution",
        "{host} cannot be found: check the connection to the internet, then try again; what was downloaded is kept",
    ),
    _symptom(
        "network",
        r"network was disabled|network connectivity is disabled",
        "a package is not among the downloaded ones and the network is switched off: allow it, or name a folder that "
        "holds all wheels",
    ),
    _symptom(
        "network",
        r"error sending request|could not connect|connection (?:refused|reset|closed|aborted)|broken pipe"
        r"|network is unreachable|no route to host|unexpected eof|end of file before|incomplete ?read"
        r"|error decoding response body|remote end closed",
        "{host} cannot be reached: check the connection and the proxy, then try again; what was downloaded is kept",
    ),
)
_PACKAGES = (
    _symptom(
        "hash",
        r"hash mismatch for `(?P<package>[^`=]+)",
        "the file of {package} is not the one that was locked: try again, and if it stays, a proxy, a mirror or a "
        "wheelhouse has another file of that name",
    ),
    _symptom(
        "hash",
        r"(?:structure of `(?P<package>[^`]+)`|failed to download `(?P<other>[^`=]+)[^\n]*\n[^\n]*failed to extract"
        r"|bad crc)",
        "the file of {package} is damaged: try again, and if it comes from a folder of wheels, copy it there anew",
    ),
    _symptom(
        "packages",
        r"failed to read `--find-links` directory: (?P<folder>.+)",
        "the folder {folder} of pip's find-links cannot be read: correct pip's configuration, or put the wheels there",
    ),
    _symptom(
        "architecture",
        r"wheels are available for `(?P<package>[^`]+)` \([^)]*\) on the following platforms?: (?P<platforms>.+)",
        "{package} is there for {platforms} only and not for this machine: name an index or a folder with wheels for "
        "it",
    ),
    _symptom(
        "packages",
        r"found wheels for `(?P<package>[^`]+)` \([^)]*\) with the following python (?:implementation|abi) tags?: "
        r"(?P<tags>.+)",
        "{package} is there for another Python only ({tags}): name an index or a folder with wheels for Python 3.11 or "
        "3.12",
    ),
    _symptom(
        "packages",
        r"no usable wheels and you require (?P<package>[\w.-]+)",
        "{package} is there as source only, which is not built here: name an index or a folder with its wheel",
    ),
    _symptom(
        "packages",
        r"because (?P<package>[\w.-]+) was not found in the provided package locations",
        "{package} is not among the wheels that were given: add its wheel to the folder, or allow an index",
    ),
    _symptom(
        "packages",
        r"because (?:there (?:are|is) no versions? of )?(?P<package>[\w.-]+?)(?:[=<>][^ ]+)?"
        r"(?: was not found in the package registry| and you require)",
        "the index does not have {package} in the version that is needed, or shows it to nobody without a login: check "
        "the index in pip's configuration, and whether a login page of the network is in the way",
    ),
)
_PROGRAMS = (
    _symptom(
        "architecture",
        r"exec format error|bad cpu type|incompatible architecture|wrong elf class|wrong architecture"
        r"|not a valid win32 application|(?:os error|winerror) (?:193|216)\b"
        r"|(?P<file>/\S+\.so\S*): cannot open shared object file",
        "a program or library is made for another processor: repair the environment with a Python for this machine's "
        "own processor",
    ),
    _symptom(
        "memory",
        r"winerror 1455\b|os error 1455\b|paging file",
        "Windows has too little virtual memory: enlarge its paging file or close other programs, then try again",
    ),
    _symptom(
        "memory",
        r"can(?:no|')t allocate memory|bad_alloc|\bmemoryerror\b|not enough memory|os error 12\b",
        "there is too little memory: close other programs and try again",
    ),
    _symptom(
        "libraries",
        r"libcuda\.so|nvcuda\.dll|driver version is insufficient|driver on your system is too old",
        "NVIDIA's driver is missing or too old for this build of torch: install the newest one, or choose the "
        "processor as device",
    ),
    _symptom(
        "architecture",
        r"no kernel image is available",
        "this build of torch does not support this graphics card: choose the processor as device",
    ),
    _symptom(
        "libraries",
        r"version [`'](?P<version>GLIBC_[\d.]+)' not found",
        "this system is too old, as its C library lacks {version}: update the system",
    ),
    _symptom(
        "libraries",
        r"version [`'](?P<version>(?:GLIBCXX|CXXABI)_[\d.]+)' not found",
        "the C++ library lacks {version}: update the system's libstdc++, and start without another one in "
        "LD_LIBRARY_PATH",
    ),
    _symptom(
        "libraries",
        r"winerror (?:126|127|1114)\b|dll load failed|error loading \"[^\"]+\.dll\"",
        "a library that torch needs is missing: " + _WINDOWS_DLL,
    ),
    _symptom(
        "libraries",
        r"(?P<library>lib(?!torch|c10|cu|nv|caffe)[\w+.-]+?\.so[\w.]*): cannot open shared object file",
        "the system lacks {library}: install it with the system's package manager{package_of}",
    ),
    _symptom(
        "libraries",
        r"library not loaded: (?P<library>\S+)",
        "the system lacks {library}: update macOS, or repair the environment",
    ),
)
LOCAL: tuple[Symptom, ...] = (*_DISK, *_PROGRAMS)  # of programs that fetch nothing
SYMPTOMS: tuple[Symptom, ...] = (*_DISK, *_NETWORK, *_PACKAGES, *_PROGRAMS)

# Where Debian and Ubuntu, and Fedora, have libraries that wheels expect of the system.
SYSTEM_PACKAGES = {
    "libgomp.so.1": ("libgomp1", "libgomp"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
    "libGL.so.1": ("libgl1", "mesa-libGL"),
    "libEGL.so.1": ("libegl1", "mesa-libEGL"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libxcb.so.1": ("libxcb1", "libxcb"),
    "libz.so.1": ("zlib1g", "zlib"),
    "libatomic.so.1": ("libatomic1", "libatomic"),
}

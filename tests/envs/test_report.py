# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bug report says, and above all what it does not."""

import json
import os
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from image_to_3d.envs import redaction, report
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine import hardware
from image_to_3d.envs.machine.hardware import Hardware
from image_to_3d.envs.places import Places
from image_to_3d.envs.redaction import redact

TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWx"


@pytest.fixture
def identity(monkeypatch, tmp_path):
    """Makes this process somebody else's: ``home``, ``user`` and ``machine``."""

    def be(home: str = "/home/jörg.müller", user: str = "jörg.müller", machine: str = "atelier-7.example") -> None:
        for name in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(name, home)
        for name in ("USER", "USERNAME", "LOGNAME"):
            monkeypatch.setenv(name, user)
        for name in ("SUDO_USER", "COMPUTERNAME", "HOSTNAME", "USERDOMAIN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(redaction.Path, "home", lambda: Path(home))
        monkeypatch.setattr(redaction, "_full_names", lambda: {"Jörg Müller"})
        monkeypatch.setattr(socket, "gethostname", lambda: machine)

    be()
    return be


@pytest.mark.parametrize(
    ("nasty", "clean"),
    [
        # homes and users
        ("/home/jörg.müller/.local/x", "~/.local/x"),
        (unicodedata.normalize("NFD", "/home/jörg.müller/x"), "~/x"),
        ("file:///home/j%C3%B6rg.m%C3%BCller/wheels", "file://~/wheels"),
        ("?path=%2Fhome%2Fj%C3%B6rg.m%C3%BCller%2Fx", "?path=~%2Fx"),
        (json.dumps({"root": "/home/jörg.müller/x"}), '{"root": "~/x"}'),
        ("/home/jörg.müller", "~"),
        ("(/home/jörg.müller)", "(~)"),
        ("/var/home/anna/x and /export/home/anna", "~/x and ~"),
        ("/Users/Max Muster/Library", "~/Library"),
        (r"C:\Users\Max Muster\AppData", r"~\AppData"),
        (r"'C:\\Users\\Max Muster\\AppData'", r"'~\\AppData'"),
        ("c:/users/max/x", "~/x"),
        (r"\\?\C:\Users\MAXMUS~1\x", r"\\?\~\x"),
        ("/mnt/c/Users/max/x", "~/x"),
        (r"\\FILESERVER\share\x", r"\\<machine>\share\x"),
        ("owner: JÖRG.MÜLLER, Jörg Müller", "owner: <user>, <user>"),
        ("x_jörg.müller_y", "x_<user>_y"),
        ("jörg.müllerin", "jörg.müllerin"),
        # machines
        ("process 7 on atelier-7.example since 12:00", "process 7 on <machine> since 12:00"),
        ("ATELIER-7 and atelier-77", "<machine> and atelier-77"),
        # logins in addresses
        ("https://me:secret@host/simple", "https://host/simple"),
        ("https://me:p@ss@host/simple", "https://host/simple"),
        ("https://me:pa/ss@host/simple", "https://host/simple"),
        ("https://onlytoken@host:8080/simple", "https://host:8080/simple"),
        ("HTTPS_PROXY=me:secret@proxy:3128", "HTTPS_PROXY=proxy:3128"),
        ("git+ssh://git@host/x", "git+ssh://host/x"),
        ("http://host:8080/x@1.0", "http://host:8080/x@1.0"),
        ("git+https://host/x/y@v1.2", "git+https://host/x/y@v1.2"),
        # tokens
        (f"token {TOKEN}.", "token <token>."),
        ("ghp_" + "a1" * 18, "<token>"),
        ("glpat-" + "a1B2" * 5, "<token>"),
        ("AKIA" + "ABCD1234" * 2, "<token>"),
        ("Authorization: Basic bWU6c2VjcmV0", "Authorization: Basic <token>"),
        ("authorization: bearer abcdefgh.ijkl-mnop", "authorization: bearer <token>"),
        ("Cookie: session=1; other=2\nnext", "Cookie: <hidden>\nnext"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "<token>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabc=\n-----END RSA PRIVATE KEY-----\nafter", "<hidden>\nafter"),
        ("https://s3/x?X-Amz-Signature=abcdef&v=1", "https://s3/x?X-Amz-Signature=<hidden>&v=1"),
        # what calls itself a secret
        ("PIP_PASSWORD=hunter2 next", "PIP_PASSWORD=<hidden> next"),
        ("password = 'two words' next", "password = <hidden> next"),
        ('{"api_key": "abc", "x": 1}', '{"api_key": <hidden>, "x": 1}'),
        ("token: abcdef", "token: <hidden>"),
        ("uv --token abcdef --quiet", "uv --token <hidden> --quiet"),
        ("machine host login me password secret", "machine host login <hidden>"),
        ("wants a user and a password: write them there", "wants a user and a password: write them there"),
        # e-mail and accounts
        ("mail Max.Muster+x@mail.example.org now", "mail <e-mail> now"),
        ("S-1-5-21-1004336348-1177238915-682003330-512", "<account>"),
        # what must stay
        ("core@1a2b3c4d/lib/python3.11/site-packages", "core@1a2b3c4d/lib/python3.11/site-packages"),
        ("torch==2.13.0+cpu sha256:0b74726dd40980fe", "torch==2.13.0+cpu sha256:0b74726dd40980fe"),
        ("tiny @ https://host/tiny-1.0.whl", "tiny @ https://host/tiny-1.0.whl"),
        ("", ""),
    ],
)
def test_what_is_private_goes_and_the_rest_stays(identity, nasty, clean):
    assert redact(nasty) == clean
    assert redact(clean) == clean


def test_a_windows_home_goes_however_it_is_written(identity):
    identity(home=r"D:\People\Jane Doe", user="Jane Doe", machine="JANES-PC")
    for path in (
        r"D:\People\Jane Doe\x",
        r"d:\\people\\jane doe\\x",
        "D:/People/Jane Doe/x",
        "file:///D:/People/Jane%20Doe/x",
    ):
        assert redact(path).replace("\\\\", "/").replace("\\", "/") in ("~/x", "file:///~/x")
    assert redact("JANES-PC\\Jane Doe") == "<machine>\\<user>"


def test_values_of_secret_variables_go_wherever_they_are(identity, monkeypatch):
    monkeypatch.setenv("INDEX_PASSWORD", "correct horse")
    monkeypatch.setenv("MY_API_KEY", "x")  # too short to be looked for
    assert redact("it said: correct horse, x") == "it said: <hidden>, x"


@pytest.mark.parametrize("user", ["root", "me", "user", ""])
def test_names_that_say_nothing_do_not_tear_the_text(identity, user):
    identity(home="/", user=user, machine="localhost")
    assert redact("the root of the user on localhost, some time") == "the root of the user on localhost, some time"


def test_names_that_are_patterns_are_names(identity):
    identity(home="/srv/a+b(c", user="a+b(c", machine=r"x\1y")
    assert redact(r"/srv/a+b(c/d a+b(c x\1y") == r"~/d <user> <machine>"


@pytest.mark.parametrize("piece", ["a", "a.", "a@", "//a", "token", "/home/", "C:\\Users\\", "a:", "eyJ", " ", "\\\\"])
def test_no_text_takes_long(identity, piece):
    redact(piece * 50_000)  # the tests' own limit of time is the assertion


# ------------------------------------------------------------------------------------------------ the report


@pytest.fixture
def no_hardware(monkeypatch):
    machine = Hardware(2, 24 << 30, notes=("no driver answers",))
    monkeypatch.setattr(hardware, "find", lambda: machine)


def test_a_quick_one_asks_no_hardware_and_counts_nothing(home, monkeypatch):
    monkeypatch.setattr(hardware, "find", lambda: pytest.fail("the hardware was asked"))
    found = report.gather(home.root, ["core"], "quick")
    assert [(each["name"], each["state"]) for each in found["environments"]] == [("core", "absent")]
    assert found["hardware"] is found["torch"] is found["sizes"] is None
    assert found["environments"][0]["need"] is None  # which depends on the build of torch
    assert found["free_bytes"] > 0


def test_one_of_files_says_what_fits_this_machine_and_what_is_in_the_way(home, no_hardware):
    found = json.loads(json.dumps(report.gather(home.root, ["core"], "files")))
    assert found["torch"]["device"] == "cpu"
    assert found["environments"][0]["need"]["packages"] > 10
    assert {each["name"] for each in found["findings"]} >= {"system", "folder"}
    assert "no driver answers" in found["text"]


def test_an_environment_that_is_not_for_this_platform_does_not_stop_the_rest(home, no_hardware, monkeypatch, tmp_path):
    monkeypatch.setattr("image_to_3d.envs.specs.lock_path", lambda name, platform=None: tmp_path / f"{name}.txt")
    found = report.gather(home.root, ["core"], "files")
    assert found["environments"][0]["need"] is None
    assert any(not each["ok"] for each in found["findings"])


def test_a_damaged_pip_configuration_is_a_finding(home, monkeypatch, tmp_path):
    (tmp_path / "pip.conf").write_text("no section\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = report.gather(home.root, ["core"])
    assert [each["name"] for each in found["findings"]] == ["pip"]
    assert "cannot be read" in found["text"]


def test_a_name_that_we_do_not_have_is_refused(home):
    with pytest.raises(EnvironmentProblem, match="there is no environment called cor"):
        report.gather(home.root, ["cor"])


def test_indexes_are_told_without_logins_and_of_a_proxy_only_that_there_is_one(home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@mirror.example/simple")
    monkeypatch.setenv("PIP_PROXY", "http://me:secret@10.1.2.3:3128")
    found = report.gather(home.root, ["core"])
    assert "secret" not in json.dumps(found)
    assert "indexes https://mirror.example/simple" in found["text"]
    assert "proxy yes" in found["text"]
    assert "10.1.2.3" not in found["text"]


def test_the_end_of_the_log_of_what_is_not_in_order_is_told(home):
    log = Places(home.root).log("core")
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(f"line {number}" for number in range(100)) + "\n```\nerror: no")
    found = report.gather(home.root, ["core"])
    assert found["environments"][0]["log_tail"].startswith("line 62\n")
    assert found["text"].count("```") == 2
    assert "error: no" in found["text"]


def test_the_text_holds_no_home_and_no_names(identity, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    root = tmp_path / "jörg.müller" / "data"
    log = Places(root).log("core")
    log.parent.mkdir(parents=True)
    log.write_text(f"process 5 on atelier-7.example\n$ uv venv /home/jörg.müller/x\ntoken {TOKEN}\n")
    text = report.gather(root, ["core"])["text"]
    assert "process 5 on <machine>" in text
    assert "uv venv ~/x" in text
    for private in ("jörg", "atelier", TOKEN):
        assert private not in text


def test_a_program_that_only_wants_to_redact_loads_little():
    """The add-on does, in Blender's own process."""
    root = Path(__file__).resolve().parent.parent.parent
    loaded = "print(*{'ssl', 'ctypes', 'urllib.request'} & set(sys.modules))"
    script = f"import sys; from envs.redaction import redact; {loaded}"
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("", "")


# ------------------------------------------------------------------------------------------------ sizes


def test_a_file_that_has_two_names_is_counted_once(tmp_path):
    places = Places(tmp_path)
    environment, cache = places.environments / "core@1", places.cache / "archive-v0" / "1"
    for folder in (environment, cache, tmp_path / "weights"):
        folder.mkdir(parents=True)
    (environment / "shared").write_bytes(b"x" * 100)
    os.link(environment / "shared", cache / "shared")
    (cache / "own").write_bytes(b"x" * 30)
    (tmp_path / "weights" / "w").write_bytes(b"x" * 7)
    (tmp_path / "moving.json").write_bytes(b"x" * 2)
    sizes = report.disk_usage(places)
    assert sizes["environments"] == 100
    assert sizes["packages cache"] == 30
    assert sizes["weights"] == 7
    assert sum(sizes.values()) == 139


def test_what_is_not_there_takes_nothing(tmp_path):
    assert set(report.disk_usage(Places(tmp_path / "none")).values()) == {0}

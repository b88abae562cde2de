# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.network import pipconfig

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the files lie elsewhere")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Writes a configuration file of the kind asked for; ``variables`` make pip look for it there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    variables = {"XDG_CONFIG_DIRS": str(tmp_path / "global"), "XDG_CONFIG_HOME": str(tmp_path / "user")}
    monkeypatch.setattr(pipconfig, "_SYSTEM", tmp_path / "etc" / "pip.conf")
    monkeypatch.setattr(pipconfig.sys, "prefix", str(tmp_path / "prefix"))
    folders = {
        "global": "global/pip",
        "system": "etc",
        "user": "user/pip",
        "legacy": ".pip",
        "site": "prefix",
        "named": "named",
    }

    def write(kind: str, text: str) -> dict[str, str]:
        path = tmp_path / folders[kind] / "pip.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if kind == "named":
            variables["PIP_CONFIG_FILE"] = str(path)
        return variables

    return write


def test_without_any_configuration_only_pypi_is_asked(place):
    config = pipconfig.read(place("user", ""))
    assert config.indexes == ["https://pypi.org/simple"]
    assert config.find_links == ()


def test_each_file_overrides_the_one_before(place):
    kinds = ["global", "system", "legacy", "user", "site"]
    for kind in kinds:
        variables = place(kind, f"[global]\nindex-url = https://{kind}/simple\n")
        assert pipconfig.read(variables).index_url == f"https://{kind}/simple"


def test_the_file_that_is_named_replaces_the_users_and_overrides_the_rest(place):
    place("global", "[global]\nproxy = http://global:1\ncert = /global.pem\n")
    place("user", "[global]\ntimeout = 7\n")
    config = pipconfig.read(place("named", "[global]\nproxy = http://named:1\n"))
    assert (config.proxy, config.cert, config.timeout) == ("http://named:1", "/global.pem", None)


def test_the_null_device_as_file_turns_files_off(place):
    variables = place("user", "[global]\nproxy = http://user:1\n") | {"PIP_CONFIG_FILE": os.devnull}
    assert pipconfig.read(variables).proxy is None


def test_what_is_said_for_install_overrides_what_is_said_for_all(place):
    text = "[install]\nfind-links = /install\n[global]\nfind-links = /global\nno-index = yes\n[freeze]\nproxy = x\n"
    config = pipconfig.read(place("user", text))
    assert (config.find_links, config.no_index, config.proxy) == (("/install",), True, None)
    assert config.indexes == []


def test_variables_override_files_and_empty_ones_do_not_count(place):
    variables = place("user", "[global]\nindex-url = https://file/simple\ncert = /file.pem\n")
    variables |= {"PIP_INDEX_URL": "https://variable/simple", "PIP_CERT": "", "PIP_DEFAULT_TIMEOUT": "180"}
    config = pipconfig.read(variables)
    assert (config.index_url, config.cert, config.timeout) == ("https://variable/simple", "/file.pem", "180")


def test_lists_are_divided_at_spaces_and_lines(place):
    text = "[global]\nextra-index-url =\n    file:///one/simple\n    file:///two/simple\ntrusted_host = a b\n"
    config = pipconfig.read(place("user", text))
    assert config.extra_index_urls == ("file:///one/simple", "file:///two/simple")
    assert config.trusted_hosts == ("a", "b")


def test_folders_are_absolute_and_found_whichever_way_they_are_written(place, tmp_path, monkeypatch):
    for name in ("with space", "home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    links = f"file://{tmp_path}/with%20space ~/home here https://far/away /does/not/exist"
    config = pipconfig.read(place("user", f"[global]\nfind-links = {links}\n"))
    assert config.folders == [tmp_path / "with space", tmp_path / "home", tmp_path / "here"]
    assert "https://far/away" in config.find_links


def test_a_damaged_file_is_named(place, tmp_path):
    with pytest.raises(EnvironmentProblem, match="user/pip/pip.conf cannot be read: correct or remove it"):
        pipconfig.read(place("user", "no section\n"))


def test_uv_is_told_the_same():
    config = pipconfig.PipConfig(
        index_url="https://main/simple",
        extra_index_urls=("https://a", "https://b"),
        find_links=("/one", "/two"),
        cert="/c.pem",
        proxy="http://p:1",
        timeout="9",
    )
    assert config.uv_variables() == {
        "UV_DEFAULT_INDEX": "https://main/simple",
        "UV_INDEX": "https://a https://b",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/c.pem",
        "HTTP_PROXY": "http://p:1",
        "HTTPS_PROXY": "http://p:1",
        "UV_HTTP_TIMEOUT": "9",
        "UV_SYSTEM_CERTS": "1",
    }


def test_what_uv_would_misread_is_written_its_way(tmp_path):
    folder = tmp_path / "wheels, all"
    config = pipconfig.PipConfig(find_links=(str(folder), "https://host/a,b"), timeout="15.5", retries="many")
    variables = config.uv_variables()
    assert variables["UV_FIND_LINKS"] == f"{tmp_path.as_uri()}/wheels%2C%20all,https://host/a%2Cb"
    assert variables["UV_HTTP_TIMEOUT"] == "16"
    assert "UV_HTTP_RETRIES" not in variables


def test_all_indexes_are_asked_alike_only_where_there_are_several():
    assert "UV_INDEX_STRATEGY" not in pipconfig.PipConfig(index_url="https://one/simple").uv_variables()


def test_a_folder_of_certificates_is_named_as_one(tmp_path):
    assert pipconfig.PipConfig(cert=str(tmp_path)).uv_variables()["SSL_CERT_DIR"] == str(tmp_path)


def test_an_index_may_be_a_folder(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = pipconfig.read(place("user", "[global]\nindex-url = simple\nextra-index-url = /more/simple\n"))
    assert config.indexes == [f"{tmp_path.as_uri()}/simple", "file:///more/simple"]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_pips_own_certificate_counts_more_than_that_of_its_library(place, tmp_path, variable):
    (tmp_path / "bundle.pem").touch()
    variables = place("user", "") | {variable: str(tmp_path / "bundle.pem")}
    assert pipconfig.read(variables).cert == str(tmp_path / "bundle.pem")
    assert pipconfig.read(variables | {"PIP_CERT": "/mine.pem"}).cert == "/mine.pem"


def test_proxies_of_the_systems_settings_are_told_to_uv_which_does_not_read_them(monkeypatch):
    monkeypatch.setattr(pipconfig.sys, "platform", "win32")
    monkeypatch.setattr(pipconfig.urllib.request, "getproxies", lambda: {"https": "http://corp:8080"})
    assert pipconfig.PipConfig().uv_variables()["HTTPS_PROXY"] == "http://corp:8080"
    assert pipconfig.PipConfig(proxy="http://mine:1").uv_variables()["HTTPS_PROXY"] == "http://mine:1"


def test_a_keyring_is_asked_where_pip_was_told_to_and_there_is_one(place, tmp_path, monkeypatch):
    variables = place("user", "[global]\nkeyring-provider = import\n")
    monkeypatch.setattr(pipconfig.shutil, "which", {"keyring": "/bin/keyring"}.get)
    assert pipconfig.read(variables).uv_variables()["UV_KEYRING_PROVIDER"] == "subprocess"
    monkeypatch.setattr(pipconfig.shutil, "which", lambda name: None)
    assert not pipconfig.read(variables).keyring

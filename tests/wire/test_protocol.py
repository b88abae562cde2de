# SPDX-License-Identifier: GPL-3.0-or-later
import json

import pytest
from image_to_3d.worker.wire import offers, protocol
from image_to_3d.worker.wire.making import GenerateParams
from image_to_3d.worker.wire.protocol import (
    Cancelled,
    Error,
    ErrorCode,
    Notification,
    Progress,
    Request,
    Result,
    WireError,
    decode,
    encode,
)

PARAMS = GenerateParams(
    ("a.png",), "out.glb", "fast", "depth", options={"faces": 10, "solid": True, "background": "cut"}
)


@pytest.mark.parametrize(
    "message",
    [
        Request(7, "generate", PARAMS),
        Notification(protocol.PROGRESS, Progress(7, 0.5, "stage", "ünïcode\nline")),
        Notification(protocol.CANCELLED, Cancelled(7)),
        Result(7, {"a": [1, {"b": None}]}),
        Error(7, -32803, "why", {"log": "tail"}),
        Error(None, -32700, "not json"),
    ],
)
def test_every_message_survives_its_line(message):
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line) == message


def code_of(line: bytes) -> int:
    with pytest.raises(WireError) as caught:
        decode(line)
    return caught.value.code


def request(method: str, **params) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 3, "method": method, "params": params}).encode()


GOOD = {"pictures": ["a"], "output": "o", "preset": "fast"}


@pytest.mark.parametrize("line", [b"", b"{", b"\xff\xfe", b"nonsense", b"[" * 100_000])
def test_what_is_not_json_is_a_parse_error(line):
    assert code_of(line) == ErrorCode.PARSE_ERROR


@pytest.mark.parametrize("line", [b"[]", b"1", b"{}", b'{"jsonrpc":"1.0","id":1}', b'{"jsonrpc":"2.0","id":"a"}'])
def test_what_is_not_json_rpc_is_an_invalid_request(line):
    assert code_of(line) == ErrorCode.INVALID_REQUEST


def test_an_unknown_method_is_told_with_the_id_of_its_request():
    with pytest.raises(WireError) as caught:
        decode(request("explode"))
    assert caught.value.code == ErrorCode.METHOD_NOT_FOUND
    assert caught.value.data["id"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"pictures": "a"},
        {"pictures": [1]},
        {"output": None},
        {"options": {"faces": [1]}},
        {"options": 4},
        {"preset": True},
    ],
)
def test_unknown_keys_and_wrong_types_are_invalid_params(change):
    decode(request("generate", **GOOD))
    assert code_of(request("generate", **(GOOD | change))) == ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_key_is_invalid_params_and_named(missing):
    with pytest.raises(WireError, match=missing) as caught:
        decode(request("generate", **{key: value for key, value in GOOD.items() if key != missing}))
    assert caught.value.code == ErrorCode.INVALID_PARAMS


def test_not_a_number_never_reaches_the_wire():
    with pytest.raises(ValueError):
        encode(Notification(protocol.PROGRESS, Progress(1, float("nan"), "stage")))


def test_option_values_keep_their_types():
    message = decode(encode(Request(1, "generate", PARAMS)))
    assert {name: type(value) for name, value in message.params.options.items()} == {
        "faces": int,
        "solid": bool,
        "background": str,
    }


METHOD = {
    "name": "a", "label": "A", "category": "A", "help": "", "pictures": "one", "cut_out": False, "makes": "Field",
    "networks": [], "options": [], "presets": {},
}  # fmt: skip


def test_a_method_that_names_no_environment_needs_the_core_one():
    assert protocol.read(offers.MethodInfo, METHOD).environment == "core"
    assert protocol.read(offers.MethodInfo, METHOD | {"environment": "nerf"}).environment == "nerf"


@pytest.mark.parametrize("environment", [None, 1, True, ["core"]])
def test_an_environment_is_a_name_and_nothing_else(environment):
    with pytest.raises(WireError, match="environment") as caught:
        protocol.read(offers.MethodInfo, METHOD | {"environment": environment})
    assert caught.value.code == ErrorCode.INVALID_PARAMS

# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from image_to_3d.envs.failures import recognise


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("error: Failed to extract archive\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        ("error: Request failed\n  Caused by: dns error: failed to lookup address", "the network cannot be reached"),
        ("cause: error sending request for url (https://me:secret@proxy.away:80/x)", "proxy.away cannot be reached"),
        ("error: Failed to download `scipy`\n  cause: Hash mismatch for `scipy==1`", "not the one that was locked"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("error: tunnel error: 407 Proxy Authentication Required", "the proxy refused"),
        ("error: failed to create directory: Permission denied (os error 13)", "a folder cannot be written"),
        ("error: No interpreter found for Python 3.11 in search path", "install Python 3.11 or 3.12"),
        ("error: something new at https://me:secret@host/simple", "something new at https://host/simple"),
        ("error: No solution found\n\n  cause: Because a wants b\n  cause: x", "No solution found: Because a wants b"),
        ("Checked 15 packages\nThe package `a` is too old\n", "The package `a` is too old"),
        ("", "said nothing"),
    ],
)
def test_uvs_failures_are_explained(said, means):
    assert means in recognise(said).sentence
    assert "secret" not in recognise(said).sentence

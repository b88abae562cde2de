# SPDX-License-Identifier: GPL-3.0-or-later
"""Our networks against recorded results of their authors' code: `python -m tests.parity NETWORK FOLDER`.

A folder holds a small checkpoint in the published layout, its inputs (inputs.npz) and what the original made of them
(reference.npz); what was added later lies beside them (encode_inputs.npz, encode_reference.npz). Every size is read
from these, so that sets with other sizes and seeds can be run too. To add a network, write
`tests/parity/<network>.py` with a function `stages` and add its line to TABLE."""

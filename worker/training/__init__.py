# SPDX-License-Identifier: GPL-3.0-or-later
"""How the included weights were made: procedural scenes, a ray caster, losses and training commands.

Nothing here is needed to use the product, and nothing here knows methods, the wire or Blender. The networks are here
as torch trains them (*_network.py); as the product runs them, without torch, they are in worker/methods.

A run can be cut off at any moment and is gone on with by the same command; each card in worker/included says with which
one its weights were made. Beside other work, on one core, at the lowest priority, and after the terminal is closed:

    python -m worker.training.shards --out DATA --count 44
    OMP_NUM_THREADS=1 setsid nohup nice -n 19 python -m worker.training.scene --out OUT --data DATA --first 44 \\
        --shards 44 --steps 4000 --rate 1e-3 --half --start worker/included/depth.safetensors >> OUT.log 2>&1 &

`--start` goes on from weights that are there (of another generation or size: from what fits), in a run with a schedule
of its own; `--half` computes in bfloat16, which pays where the processor has it (avx512_bf16, amx_bf16). It ends in
OUT/depth.safetensors and OUT/depth.md; `python tests/bench/depth.py --weights OUT/depth.safetensors --before CHECKOUT`
says whether they are better than those of another checkout, and only then they go to worker/included.
"""

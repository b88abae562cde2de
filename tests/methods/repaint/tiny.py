# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines of diffusers with random weights and tiny sizes, written as a hub's folder is. Needs diffusers."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    Qwen2TokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}{% endfor %}"
_VOCABULARY = {"<|endoftext|>": 0, "<|im_start|>": 1, **{chr(code): code - 30 for code in range(32, 127)}}


def klein(seed: int = 0) -> Flux2KleinPipeline:
    """With the published kinds of parts."""
    torch.manual_seed(seed)
    layers = 28  # of which the prompt's embedding takes the 9th, 18th and 27th
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 1, "num_key_value_heads": 1}
    text = Qwen3Config(**sizes, head_dim=8, num_hidden_layers=layers, vocab_size=len(_VOCABULARY) + 8)
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        timestep_guidance_channels=32,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    blocks = {"block_out_channels": (8, 8), "down_block_types": ("DownEncoderBlock2D",) * 2}
    vae = AutoencoderKLFlux2(
        **blocks, up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, layers_per_block=1
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=Qwen3ForCausalLM(text).eval(),
        tokenizer=tokenizer(),
        transformer=transformer.eval(),
        is_distilled=True,
    )


def tokenizer() -> PreTrainedTokenizerFast:
    """Of single characters."""
    made = Tokenizer(models.WordLevel(_VOCABULARY, unk_token="<|endoftext|>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = Qwen2TokenizerFast(tokenizer_object=made, pad_token="<|endoftext|>", unk_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    return fast


def write(folder: Path, seed: int = 0, card: bool = True) -> Path:
    klein(seed).save_pretrained(folder)
    if card:
        (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nTiny.\n")
    return folder


def write_stable_diffusion(folder: Path) -> Path:
    """A pipeline of another kind, as its authors wrote them: from a text."""
    torch.manual_seed(0)
    channels = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    blocks = {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}
    blocks |= {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    unet = UNet2DConditionModel(**channels, **blocks, cross_attention_dim=16, attention_head_dim=4, sample_size=8)
    coders = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    words = {**{chr(code): code - 33 for code in range(33, 127)}}
    words |= {f"{letter}</w>": len(words) + place for place, letter in enumerate(list(words))}
    words |= {"<|startoftext|>": len(words), "<|endoftext|>": len(words) + 1}
    text = CLIPTextModel(
        CLIPTextConfig(**sizes, vocab_size=len(words), bos_token_id=len(words) - 2, eos_token_id=len(words) - 1)
    )
    StableDiffusionPipeline(
        vae=AutoencoderKL(**channels, **coders, latent_channels=4).eval(),
        text_encoder=text.eval(),
        tokenizer=CLIPTokenizer(vocab=words, merges=[], model_max_length=77),
        unet=unet.eval(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder

"""Tiny random pipelines, built offline in a fraction of a second: for our tests and for yours.

They are real diffusers pipelines (same classes, same layer names, same schedulers) whose weights
are random, so they show whether code works, never whether an image is any good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import pre_tokenizers
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure

PREDICTIONS = ("epsilon", "v_prediction", "sample")
WORDS = (
    "a",
    "an",
    "the",
    "of",
    "in",
    "by",
    "and",
    "photo",
    "painting",
    "style",
    "fox",
    "dog",
    "red",
    "horse",
)
CAPTIONS = ("a photo of a dog", "a red horse", "a painting of a horse", "a dog and a horse")
"""Ordinary language in ``WORDS``, for erasures on the tiny pipelines."""
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 16,
}
UNET = {
    "sample_size": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}
NOISE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
CHAT = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""A chat template in the manner of Qwen3's."""
CHAT_WORDS = ("user", "assistant")
CHAT_MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
DEEPEST = 27
"""Of the text encoder's layers that ``Flux2KleinPipeline`` reads."""
HEADS = {"num_attention_heads": 2, "attention_head_dim": 16}


def tiny_stable_diffusion(
    prediction: str = "epsilon", seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> StableDiffusionPipeline:
    """A ``StableDiffusionPipeline`` with random weights, on the CPU, in float32 and eval mode.

    Images are 16x16 pixels, states 4x8x8. The same ``seed`` gives the
    same weights, and torch's global generator is left as it was.

    Args:
        prediction: what the network predicts, one of ``epsilon``, ``v_prediction``, ``sample``.
        seed: seed of the weights.
        width: of the token embeddings; an exact edit needs a few times ``positions``.
        positions: tokens in a prompt, padding included.

    Raises:
        InputError: for another prediction type.
    """
    if prediction not in PREDICTIONS:
        raise InputError(
            f"unknown prediction type {prediction!r}. Choose one of: {', '.join(PREDICTIONS)}."
        )
    tokenizer = _tokenizer(positions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": _clip(tokenizer, width),
            "vae": AutoencoderKL.from_config(VAE),
            "unet": UNet2DConditionModel.from_config({**UNET, "cross_attention_dim": width}),
        }
    scheduler = DDIMScheduler(
        **NOISE, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction
    )
    return _assemble(
        StableDiffusionPipeline, parts, scheduler, tokenizer=tokenizer,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def tiny_erasure() -> tuple[StableDiffusionPipeline, Erasure]:
    """``tiny_stable_diffusion()`` and an erasure of *fox* made on it, which shows a dog instead."""
    from trace_erasure.concepts.concept import Concept
    from trace_erasure.trace.erase import erase

    pipe = tiny_stable_diffusion()
    return pipe, erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)


def tiny_sdxl(
    seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> StableDiffusionXLPipeline:
    """A ``StableDiffusionXLPipeline`` like ``tiny_stable_diffusion``.

    ``width`` is that of both text encoders side by side; the pooled vector has half of it.
    """
    tokenizers = _tokenizer(positions), _tokenizer(positions, padding="!")
    half, sizes = width // 2, 8
    unet = {
        **UNET,
        "cross_attention_dim": width,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": sizes,
        "projection_class_embeddings_input_dim": half + 6 * sizes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": _clip(tokenizers[0], half),
            "text_encoder_2": _clip(tokenizers[1], half, CLIPTextModelWithProjection),
            "vae": AutoencoderKL.from_config(VAE),
            "unet": UNet2DConditionModel.from_config(unet),
        }
    scheduler = EulerDiscreteScheduler(**NOISE, timestep_spacing="leading")
    return _assemble(
        StableDiffusionXLPipeline, parts, scheduler,
        tokenizer=tokenizers[0], tokenizer_2=tokenizers[1], add_watermarker=False,
    )  # fmt: skip


def tiny_sd3(seed: int = 0, *, width: int = WIDTH, positions: int = 77) -> StableDiffusion3Pipeline:
    """A ``StableDiffusion3Pipeline`` like ``tiny_stable_diffusion``, with a static shift of 3.

    A prompt has ``positions`` tokens of CLIP and as many of T5 (call the pipeline with
    ``max_sequence_length=positions``); ``width`` is T5's and that of both CLIP encoders together.
    """
    clip = _tokenizer(positions), _tokenizer(positions, padding="!")
    t5 = _t5_tokenizer(positions)
    transformer = {
        **HEADS,
        "sample_size": 8,
        "patch_size": 2,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 2,
        "joint_attention_dim": width,
        "caption_projection_dim": 32,
        "pooled_projection_dim": width,
        "pos_embed_max_size": 16,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": _clip(clip[0], width // 2, CLIPTextModelWithProjection),
            "text_encoder_2": _clip(clip[1], width // 2, CLIPTextModelWithProjection),
            "text_encoder_3": _t5(t5, width),
            "vae": AutoencoderKL.from_config({**VAE, "shift_factor": 0.06}),
            "transformer": SD3Transformer2DModel.from_config(transformer),
        }
    return _assemble(
        StableDiffusion3Pipeline, parts, FlowMatchEulerDiscreteScheduler(shift=3.0),
        tokenizer=clip[0], tokenizer_2=clip[1], tokenizer_3=t5,
    )  # fmt: skip


def tiny_flux(
    guidance_embeds: bool = True, seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> FluxPipeline:
    """A ``FluxPipeline`` like ``tiny_stable_diffusion``.

    With ``guidance_embeds`` it is like FLUX.1 [dev], guidance an input and a schedule that shifts
    with the image's size; without like FLUX.1 [schnell]. ``positions`` counts T5's tokens (call
    the pipeline with ``max_sequence_length=positions``); ``width`` is T5's and CLIP's.
    """
    clip, t5 = _tokenizer(positions), _t5_tokenizer(positions)
    transformer = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "pooled_projection_dim": width,
        "guidance_embeds": guidance_embeds,
        "axes_dims_rope": (4, 6, 6),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": _clip(clip, width),
            "text_encoder_2": _t5(t5, width),
            "vae": AutoencoderKL.from_config({**VAE, "shift_factor": 0.06}),
            "transformer": FluxTransformer2DModel.from_config(transformer),
        }
    shift: dict[str, Any] = {"shift": 3.0, "use_dynamic_shifting": True}
    if not guidance_embeds:
        shift = {"shift": 1.0}
    pipe = _assemble(
        FluxPipeline, parts, FlowMatchEulerDiscreteScheduler(**shift),
        tokenizer=clip, tokenizer_2=t5,
    )  # fmt: skip
    pipe.default_sample_size = 8  # the pipeline's own is that of an image of a megapixel
    return pipe


def tiny_flux2_klein(
    is_distilled: bool = False, seed: int = 0, *, width: int = 48, positions: int = 77
) -> Flux2KleinPipeline:
    """A ``Flux2KleinPipeline`` like ``tiny_stable_diffusion``, with states 16x4x4.

    Like FLUX.2 [klein] base, guided by the empty prompt, or, with ``is_distilled``, unguided.
    ``positions`` counts the tokens of a prompt in its chat template, which has 14 of its own (call
    the pipeline with ``max_sequence_length=positions``). ``width`` is that of three layers of the
    encoder side by side, a multiple of 24.
    """
    tokenizer = _chat_tokenizer(positions)
    transformer = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "timestep_guidance_channels": 16,
        "guidance_embeds": False,
        "axes_dims_rope": (4, 4, 4, 4),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae: Any = AutoencoderKLFlux2.from_config(VAE)
        vae.bn.running_mean.normal_()
        vae.bn.running_var.uniform_(0.5, 2.0)
        parts = {
            "text_encoder": _qwen3(tokenizer, width // 3),
            "vae": vae,
            "transformer": Flux2Transformer2DModel.from_config(transformer),
        }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    pipe = _assemble(
        Flux2KleinPipeline, parts, scheduler, tokenizer=tokenizer, is_distilled=is_distilled
    )
    pipe.default_sample_size = 8  # as for FLUX.1
    return pipe


def _assemble(kind: Any, networks: dict[str, Any], scheduler: Any, **others: Any) -> Any:
    """A pipeline of networks in eval mode, which prints no progress."""
    for network in networks.values():
        network.eval()
    pipe = kind(**networks, scheduler=scheduler, **others)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _clip(tokenizer: Any, width: int, kind: Any = CLIPTextModel) -> nn.Module:
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _t5(tokenizer: Any, width: int) -> nn.Module:
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=width,
            d_kv=8,
            d_ff=2 * width,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )


def _qwen3(tokenizer: Any, width: int) -> nn.Module:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=DEEPEST + 1,  # the last one's output is normalised
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            initializer_range=0.1,  # layers differ, though they are narrow
        )
    )


def _t5_tokenizer(positions: int) -> Any:
    """A T5 tokenizer: one token for each of ``WORDS``, one a character for other ASCII text."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(f"▁{word}", -1.0) for word in WORDS]
    characters = [(character, -5.0) for character in ("▁", *map(chr, range(33, 127)))]
    return T5Tokenizer([*special, *words, *characters], extra_ids=0, model_max_length=positions)


def _tokenizer(positions: int, padding: str = EOS) -> Any:
    """A CLIP tokenizer: one token for each of ``WORDS``, one a byte for everything else."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    symbols += [symbol + "</w>" for symbol in symbols]
    words = ([*word[:-1], word[-1] + "</w>"] for word in WORDS)
    parts = _byte_pairs(symbols, words, [BOS, EOS])
    return CLIPTokenizer(**parts, pad_token=padding, model_max_length=positions)


def _chat_tokenizer(positions: int) -> Any:
    """A Qwen tokenizer with a chat template: one token for each of ``WORDS`` after a space and for
    what the template says, one a byte for everything else."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*(f"Ġ{word}" for word in WORDS), *CHAT_WORDS, "ĊĊ"]
    parts = _byte_pairs(symbols, map(list, words), [EOS])
    tokenizer = Qwen2Tokenizer(
        **parts, eos_token=EOS, pad_token=EOS, unk_token=EOS, model_max_length=positions
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(CHAT_MARKS)})
    tokenizer.chat_template = CHAT
    return tokenizer


def _byte_pairs(
    symbols: list[str], words: Iterable[list[str]], special: list[str]
) -> dict[str, Any]:
    """The vocabulary and the merges that make one token of each of ``words``, given in symbols."""
    merges: dict[tuple[str, str], str] = {}
    for first, *rest in words:
        for symbol in rest:
            merges[first, symbol] = first + symbol
            first += symbol
    tokens = dict.fromkeys([*symbols, *merges.values(), *special])
    return {"vocab": {token: i for i, token in enumerate(tokens)}, "merges": list(merges)}

"""States to what a VAE decodes and back, and the pictures of a pipeline's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def unscaled(pipe: Any, states: Tensor) -> Tensor:
    """The latents that the VAE decodes to pictures of ``states``, same shape."""
    config = pipe.vae.config
    return states / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)


def scaled(pipe: Any, latents: Tensor) -> Tensor:
    """The states of ``latents`` as the VAE encodes them, same shape."""
    config = pipe.vae.config
    return (latents - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor


def decoded(pipe: Any, latents: Tensor) -> Tensor:
    """Pixels of ``latents``, (n, 3, height, width) in -1..1."""
    return pipe.vae.decode(latents.to(pipe.vae.dtype)).sample


def viewed(pipe: Any, pixels: Tensor) -> Tensor:
    """Latents of ``pixels`` without the encoder's noise."""
    return pipe.vae.encode(pixels).latent_dist.mode()


def statistics(pipe: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every channel of a video VAE's latents, (c, 1, 1, 1)."""
    import torch

    config = pipe.vae.config
    mean, deviation = (
        torch.tensor(values).view(-1, 1, 1, 1).to(like)
        for values in (config.latents_mean, config.latents_std)
    )
    return mean, deviation


def one_frame_decoded(pipe: Any, latents: Tensor) -> Tensor:
    """``decoded`` by a video VAE: latents (n, c, 1, h, w)."""
    return decoded(pipe, latents)[:, :, 0]


def one_frame_viewed(pipe: Any, pixels: Tensor) -> Tensor:
    """``viewed`` by a video VAE: latents (n, c, 1, h, w)."""
    return viewed(pipe, pixels[:, :, None])


def scale_factor(pipe: Any) -> int:
    """Pixels of a picture for each of its latents, along a side."""
    named = getattr(pipe, "vae_scale_factor", None)
    return pipe.vae_scale_factor_spatial if named is None else named


def images(answer: Any) -> list[Any]:
    """The pictures of a pipeline's answer."""
    return answer.images


def first_frames(answer: Any) -> list[Any]:
    """The first frame of each video of a pipeline's answer; latents are given back whole."""
    frames = answer.frames
    return list(frames) if hasattr(frames, "mT") else [video[0] for video in frames]

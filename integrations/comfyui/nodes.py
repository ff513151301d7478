"""The two nodes. They use ComfyUI's own LoRA code, so that its memory management sees them."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import comfy.lora
import folder_paths

from .erasure_file import ErasureFile, read

MODELS = {
    "stable-diffusion": "BaseModel",
    "stable-diffusion-xl": "SDXL",
    "stable-diffusion-3": "SD3",
    "flux": "Flux",
    "flux-2": "Flux2",
    "flux-2-dev": "Flux2",
    "chroma": "Chroma",
    "z-image": "Lumina2",
    "qwen-image": "QwenImage",
    "aura-flow": "AuraFlow",
    "pixart-sigma": "PixArt",
}
"""A family to the name of ComfyUI's class of its models."""
CATEGORY = "model_patches/erasure"
WEIGHT = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05})


class LoadErasure:
    """Reads an erasure and says what it is."""

    CATEGORY = CATEGORY
    FUNCTION = "load"
    OUTPUT_NODE = True
    RETURN_TYPES = ("ERASURE", "STRING")
    RETURN_NAMES = ("erasure", "about")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "file": (folder_paths.get_filename_list("loras"),),
                "weight": WEIGHT,
            }
        }

    def load(self, file: str, weight: float) -> dict[str, Any]:
        erasure = read(folder_paths.get_full_path_or_raise("loras", file), file)
        about = erasure.about()
        logging.info("%s", about)
        return {"ui": {"text": [about]}, "result": ((erasure, weight), about)}


class Erase:
    """Puts an erasure on a model."""

    CATEGORY = CATEGORY
    FUNCTION = "erase"
    RETURN_TYPES = ("MODEL",)
    INPUTS: ClassVar[dict[str, Any]] = {
        "required": {"model": ("MODEL",), "erasure": ("ERASURE",)},
    }

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return cls.INPUTS

    def erase(self, model: Any, erasure: tuple[ErasureFile, float]) -> tuple[Any]:
        file, weight = erasure
        _warn_of_another_base(model, file)
        names = comfy.lora.model_lora_keys_unet(model.model, {})
        missing = sorted(file.modules - names.keys())
        if missing:
            raise ValueError(
                f"{file.name}: this model has no layer {missing[0]!r} ({len(missing)} of "
                f"{len(file.modules)} are missing), so that the concept would come through. Use a "
                f"{file.family} model; a file that was exported for another tool is written again "
                "with: trace-erasure export FILE --for comfyui"
            )
        patches = comfy.lora.load_lora(file.tensors, names)
        erased = model.clone()
        taken = set(erased.add_patches(patches, weight))
        if len(taken) < len(patches):
            raise ValueError(f"{file.name}: only {len(taken)} of {len(patches)} layers were taken.")
        return (erased,)


def _warn_of_another_base(model: Any, file: ErasureFile) -> None:
    found, wanted = type(model.model).__name__, MODELS.get(file.family)
    if found != wanted:
        logging.warning(
            "%s was made for %s, and this model is a %s: its figures do not carry over.",
            file.name,
            file.family,
            found,
        )


NODE_CLASS_MAPPINGS = {"LoadErasure": LoadErasure, "Erase": Erase}
NODE_DISPLAY_NAME_MAPPINGS = {"LoadErasure": "Load erasure", "Erase": "Erase"}

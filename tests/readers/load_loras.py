"""Loads LoRA files in whatever versions of diffusers and peft this interpreter has.

    python load_loras.py FOLDER

Stands alone, so that it runs where this package cannot be installed. ``FOLDER`` has a folder for
each model: ``model`` (a pipeline without text encoders, which newer transformers write so that
older ones cannot read them), ``prompt.safetensors`` (arguments of a call of it), ``call.json`` (the
other arguments), and LoRA files below ``files``. For each file it writes what the pipeline draws to
``FOLDER/MODEL/drawn/FILE``, and to ``FOLDER/MODEL/found.json`` the file's factors that are nowhere
in the network, by their names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

ENCODERS = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3")
ENCODERS = (*ENCODERS, "tokenizer_3")


def loaded(folder: Path) -> Any:
    """The pipeline of ``folder`` without its text encoders, in silence."""
    index = json.loads((folder / "model_index.json").read_text())
    absent: dict[str, Any] = dict.fromkeys(name for name in ENCODERS if name in index)
    pipe: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True, **absent)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def drawn(pipe: Any, model: Path) -> torch.Tensor:
    """Pictures (n, height, width, 3) in 0..1, from the embeddings and the seed that are given."""
    options = json.loads((model / "call.json").read_text())
    seed = torch.Generator().manual_seed(options.pop("seed"))
    prompt: Any = load_file(model / "prompt.safetensors")
    images = pipe(**prompt, **options, generator=seed, output_type="np").images
    return torch.as_tensor(images).contiguous()


def dropped(pipe: Any, file: Path) -> list[str]:
    """Factors of ``file`` that no layer of the network has, whatever they are called there."""
    network = getattr(pipe, "unet", None) or pipe.transformer
    have = [tensor for name, tensor in network.named_parameters() if "lora_" in name]
    factors = {name: tensor for name, tensor in load_file(file).items() if tensor.ndim == 2}
    return [
        name
        for name, tensor in factors.items()
        if not any(tensor.shape == own.shape and torch.equal(tensor, own) for own in have)
    ]


def main(folder: Path) -> None:
    for model in sorted(path for path in folder.iterdir() if path.is_dir()):
        found: dict[str, list[str]] = {}
        (model / "drawn").mkdir(exist_ok=True)
        for file in sorted((model / "files").glob("*.safetensors")):
            pipe = loaded(model / "model")
            pipe.load_lora_weights(str(file.parent), weight_name=file.name)
            found[file.name] = dropped(pipe, file)
            save_file({"pictures": drawn(pipe, model)}, model / "drawn" / file.name)
        (model / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A pipeline by its name, from whatever place: the one loader of the API and the command line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError, shown
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.families.registry import FAMILIES
from trace_erasure.pipeline.hub_size import say_size
from trace_erasure.pipeline.single_file import INDEX, check_config, from_single_file
from trace_erasure.pipeline.stored import dtype_named, dtype_of, first_line, guarded
from trace_erasure.utils.arguments import check_text
from trace_erasure.utils.folders import check_path

if TYPE_CHECKING:
    import torch

CHECKPOINT = ".safetensors"
PICKLED = (".ckpt", ".bin", ".pt", ".pth")
SHARD = r"(?:-\d+-of-\d+)?"
VARIANT = re.compile(rf"[^.]+?{SHARD}(?:\.(?P<variant>[A-Za-z]\w*){SHARD})?\.safetensors")
NO_OFFLOADS = ("sequential", "group", "disk")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def load_pipeline(
    model: Any = "emoji-sd",
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    revision: str | None = None,
    variant: str | None = None,
    offload: str | None = None,
    config: str | os.PathLike[str] | None = None,
) -> Any:
    """A diffusers pipeline, all of its parts in one dtype.

    Args:
        model: a shipped model (``emoji-sd``, ``emoji-flux``), a folder that ``save_pretrained``
            wrote, a single ``.safetensors`` checkpoint, the name of a repository on the hub, or a
            pipeline, which is given back.
        dtype: ``float32``, ``float16`` or ``bfloat16``. Default: that of the network's files;
            float32 for shipped models.
        device: to move it to; default: where it is loaded, the CPU.
        revision: of a repository on the hub: a branch, a tag or a commit.
        variant: of the files, such as ``fp16``; default: found where there is only one.
        offload: ``model`` keeps one network at a time on the device; stage 1, attaching and
            drawing work so. Other ways are refused: under them there are no weights to change.
        config: with a single file, the folder of its base model: settings, and the weights of
            parts that the file lacks. Default: the file's own folder where it has settings, else
            the hub.

    Raises:
        InputError: there is no such model, it cannot be loaded, or it cannot be reached.

    Example:
        >>> import tempfile
        >>> from trace_erasure import load_pipeline
        >>> from trace_erasure.testing import tiny_stable_diffusion
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tiny_stable_diffusion().save_pretrained(folder)
        ...     pipe = load_pipeline(folder, dtype="bfloat16")
        >>> pipe.unet.dtype, pipe.text_encoder.dtype
        (torch.bfloat16, torch.bfloat16)
    """
    kind = None if dtype is None else dtype_named(dtype)
    check_text("revision", revision, optional=True)
    check_text("variant", variant, optional=True)
    device = None if device is None else _device(device)
    _check_offload(offload)
    base = check_config(config)
    single = isinstance(model, str | os.PathLike) and Path(model).suffix == CHECKPOINT
    if base is not None and not single:
        raise InputError(
            f"config goes with a single {CHECKPOINT} file, and model is {shown(model)}. Leave it "
            "out."
        )
    if not isinstance(model, str | os.PathLike):
        return _placed(model, kind, device, offload)
    check_path("model", model)
    name = os.fspath(model)
    path = Path(name).expanduser()
    if name in shipped.PIPELINES:
        pipe = _from_folder(shipped.path(name), kind or dtype_named("float32"), None)
        if hasattr(pipe, "default_sample_size"):  # FluxPipeline's own draws a megapixel
            pipe.default_sample_size = shipped.LATENT_SIDE
    elif (path / INDEX).is_file():
        pipe = _from_folder(path, kind, variant)
    elif single and path.is_file():
        pipe = from_single_file(path, kind, base)
    elif path.exists():
        raise _no_pipeline(path)
    elif HUB_NAME.fullmatch(name):
        pipe = _from_hub(name, kind, revision, variant)
    else:
        raise InputError(
            f"there is no model {shown(name)}. Give a shipped model "
            f"({', '.join(shipped.PIPELINES)}), a folder with a diffusers pipeline, a "
            ".safetensors checkpoint, or the name of a repository on the hub (user/name)."
        )
    return _placed(pipe, kind, device, offload)


def _device(device: str | torch.device) -> torch.device:
    import torch

    try:
        if isinstance(device, str | torch.device):
            return torch.device(device)
    except RuntimeError:
        pass
    raise InputError(f"device is {shown(device)}; allowed: cpu, cuda, cuda:1, mps and their like.")


def _placed(
    pipe: Any, dtype: torch.dtype | None, device: torch.device | None, offload: str | None
) -> Any:
    """``pipe`` in the dtype and on the device that were asked for, where any were."""
    if not hasattr(pipe, "scheduler"):
        raise InputError(
            f"a {type(pipe).__name__} is no model. Give a name, a folder or a diffusers pipeline."
        )
    if dtype is not None:
        pipe = pipe.to(dtype=dtype)
    if device is None and offload is None:
        return pipe
    try:
        if offload is None:
            return pipe.to(device)
        pipe.enable_model_cpu_offload(device=device)
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        where = "an accelerator" if device is None else repr(str(device))
        raise InputError(
            f"cannot move the pipeline to {where}: {first_line(error)} Leave out device and "
            "offload to keep it on the CPU."
        ) from error
    return pipe


def _check_offload(offload: object) -> None:
    """Raises ``InputError`` for every way to offload but that of whole networks."""
    if isinstance(offload, str) and offload in NO_OFFLOADS:
        raise InputError(
            f"offload is {offload!r}, under which the weights lie nowhere between two calls, so "
            "that nothing can be erased, attached or measured; use 'model', or attach first and "
            "offload then."
        )
    if not (offload is None or (isinstance(offload, str) and offload == "model")):
        raise InputError(f"offload is {shown(offload)}; allowed: model, or None.")


def _from_folder(
    folder: Path, dtype: torch.dtype | None, variant: str | None, repository: str = ""
) -> Any:
    """A folder that ``save_pretrained`` wrote, or the hub's cache of ``repository``."""
    from diffusers import DiffusionPipeline

    files = _network_files(folder)
    variant = variant or _variant(folder, files)
    stored = [file for file in files if _variant_of(file) == variant]
    kind = dtype or dtype_of(stored)
    return guarded(
        lambda: DiffusionPipeline.from_pretrained(
            folder, dtype=kind, variant=variant, local_files_only=True, use_safetensors=True
        ),
        f"cannot load {f'{repository!r} from its cache, ' if repository else 'the pipeline in '}"
        f"{folder}",
        "It may be here in part only; load it once with a network."
        if repository
        else "Save it again with save_pretrained, as safetensors.",
    )


def _from_hub(
    name: str, dtype: torch.dtype | None, revision: str | None, variant: str | None
) -> Any:
    from diffusers import DiffusionPipeline

    say_size(name, revision, variant)
    folder = guarded(
        lambda: DiffusionPipeline.download(
            name, revision=revision, variant=variant, use_safetensors=True
        ),
        f"there is no folder {name!r}, and the hub's repository of that name cannot be loaded",
        "Check the name, the network and the token; without a network, give a folder.",
    )
    return _from_folder(Path(folder), dtype, variant, name)


def _network_files(folder: Path) -> list[Path]:
    """The safetensors files of the denoising network in a pipeline's folder."""
    for family in FAMILIES:
        files = sorted((folder / family.denoiser).glob("*.safetensors"))
        if files:
            return files
    return []


def _variant(folder: Path, files: list[Path]) -> str | None:
    """The variant that the files have, None for files without one."""
    found = {_variant_of(file) for file in files}
    if None in found or not found:
        return None
    if len(found) > 1:
        raise InputError(
            f"{folder} has the variants {', '.join(sorted(map(str, found)))}. Say which with "
            "variant."
        )
    return found.pop()


def _variant_of(file: Path) -> str | None:
    match = VARIANT.fullmatch(file.name)
    return match["variant"] if match else None


def _no_pipeline(path: Path) -> InputError:
    if path.suffix in PICKLED:
        return InputError(
            f"{path} is a PyTorch pickle, which can run code when it is opened. Convert it to "
            "safetensors, or ask its author for such a file."
        )
    return InputError(
        f"{path} is no model: it is neither a folder with a {INDEX}, as save_pretrained writes it, "
        "nor a .safetensors checkpoint."
    )

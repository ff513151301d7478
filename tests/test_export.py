"""Files: golden keys, headers, equal bytes, and every way in which a file can be bad."""

from __future__ import annotations

import errno
import json
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from trace_erasure.artifact import lora_file
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.families.sd import STABLE_DIFFUSION

DOWN = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
MID = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"
TRANSFORMER = replace(STABLE_DIFFUSION, denoiser="transformer", lora_keys="diffusers")


def make_delta() -> dict[str, LowRank]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {MID: LowRank(draw(3, 6), draw(4, 3)), DOWN: LowRank(draw(1, 6), draw(5, 1))}


def make_header(**provenance) -> dict[str, str]:
    return lora_file.header(
        STABLE_DIFFUSION,
        3,
        {"format": 1, **provenance},
        prediction="v_prediction",
        title="Without foxes",
        description="Foxes become nothing.",
        date="2026-11-20",
    )


def write(path: Path, **provenance) -> Path:
    tensors = lora_file.state_dict(make_delta(), STABLE_DIFFUSION)
    lora_file.write(path, tensors, make_header(**provenance))
    return path


# Keys -------------------------------------------------------------------------------------


def test_kohya_keys():
    stem_down = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    stem_mid = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
    tensors = lora_file.state_dict(make_delta(), STABLE_DIFFUSION)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        f"{stem_down}.lora_down.weight": (3, 6),
        f"{stem_down}.lora_up.weight": (5, 3),
        f"{stem_down}.alpha": (),
        f"{stem_mid}.lora_down.weight": (3, 6),
        f"{stem_mid}.lora_up.weight": (4, 3),
        f"{stem_mid}.alpha": (),
    }


def test_diffusers_keys():
    assert set(lora_file.state_dict(make_delta(), TRANSFORMER)) == {
        f"transformer.{path}.lora_{factor}.weight" for path in (DOWN, MID) for factor in "AB"
    }


def test_alpha_is_the_rank_of_every_module():
    tensors = lora_file.state_dict(make_delta(), STABLE_DIFFUSION)
    stems = [name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")]
    for stem in stems:
        assert tensors[f"{stem}.alpha"] == tensors[f"{stem}.lora_down.weight"].shape[0] == 3


@pytest.mark.parametrize("family", [STABLE_DIFFUSION, TRANSFORMER], ids=["kohya", "diffusers"])
def test_back_from_keys(family):
    delta = make_delta()
    found = lora_file.delta_of(lora_file.state_dict(delta, family), family, list(delta))
    assert found.keys() == delta.keys()
    for path, change in delta.items():
        torch.testing.assert_close(found[path].dense(), change.dense())


def test_unknown_key_format():
    with pytest.raises(ValueError, match=r"'other'; known: kohya, .*diffusers"):
        lora_file.state_dict(make_delta(), replace(STABLE_DIFFUSION, lora_keys="other"))


# Headers and bytes ------------------------------------------------------------------------


def test_header_is_what_other_tools_read(tmp_path):
    with safe_open(write(tmp_path / "a.safetensors", spec={"concept": "fox"}), "pt") as file:
        metadata = file.metadata()
    data_hash = metadata.pop("modelspec.hash_sha256")
    assert data_hash.startswith("0x") and len(data_hash) == 66
    metadata.pop(lora_file.DIGEST)
    assert json.loads(metadata.pop("trace_erasure")) == {"format": 1, "spec": {"concept": "fox"}}
    assert metadata == {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": "Without foxes",
        "modelspec.description": "Foxes become nothing.",
        "modelspec.date": "2026-11-20",
        "modelspec.prediction_type": "v",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "3",
        "ss_network_alpha": "3",
        "ss_base_model_version": "sd_v1",
    }


def test_a_header_takes_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        make_header(figure=float("nan"))


def test_read_gives_what_was_written(tmp_path):
    tensors, metadata = lora_file.read(write(tmp_path / "a.safetensors", spec="Zürich"))
    expected = lora_file.state_dict(make_delta(), STABLE_DIFFUSION)
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    assert make_header(spec="Zürich").items() <= metadata.items()


def test_same_content_same_bytes(tmp_path):
    first, second = write(tmp_path / "a.safetensors", b=1, a=2), write(tmp_path / "b", a=2, b=1)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path):
    """The order of a header must not hang on hash seeds."""
    path = write(tmp_path / "a.safetensors", a=2, b=1)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from test_export import write; write(Path(sys.argv[2]), b=1, a=2)"
    )
    other = tmp_path / "other"
    subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(other)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.read_bytes() == path.read_bytes()


# Bad files --------------------------------------------------------------------------------


def refused(path: Path, *words: str) -> None:
    """Reading is refused with a message that names the file and ``words``; nothing changes."""
    before = {p: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with pytest.raises(InputError) as error:
        lora_file.read(path)
    for word in (str(path), *words):
        assert word in str(error.value)
    assert {p: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before


def test_missing_file(tmp_path):
    refused(tmp_path / "nothing.safetensors", "no file")


def test_folder_instead_of_file(tmp_path):
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "cannot read")


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_file(tmp_path, length):
    path = write(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:length])
    refused(path, "not a complete safetensors file", "Copy it again")


def test_something_else(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("<!DOCTYPE html><html>the page that a login wall sends</html>")
    refused(path, "not a complete safetensors file")


@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_are_not_opened(tmp_path, legacy):
    class Bomb:
        def __reduce__(self):
            return Path(tmp_path / "exploded").touch, ()

    path = tmp_path / "a.ckpt"
    torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "pickle", "safetensors")
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path, "pickle", "safetensors")
    assert not (tmp_path / "exploded").exists()


def test_someone_elses_safetensors(tmp_path):
    path = tmp_path / "lora.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    refused(path, "no erasure", "load_lora_weights")
    save_file({"weight": torch.ones(2)}, path, {"format": "pt", "ss_network_dim": "4"})
    refused(path, "no erasure", "load_lora_weights")


def test_changed_tensors(tmp_path):
    path = write(tmp_path / "a.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused(path, "was changed", "SHA-256")


def test_changed_header(tmp_path):
    path = write(tmp_path / "a.safetensors", certified=False)
    content = path.read_bytes()
    assert b'certified\\": false' in content
    path.write_bytes(content.replace(b'certified\\": false', b'certified\\":  true'))
    refused(path, "was changed", "SHA-256")


def test_header_without_its_hash(tmp_path):
    path = write(tmp_path / "a.safetensors")
    tensors, metadata = lora_file.read(path)
    save_file(tensors, path, metadata)
    refused(path, "was changed", "SHA-256")


def test_nan_in_a_file(tmp_path, monkeypatch):
    tensors = lora_file.state_dict(make_delta(), STABLE_DIFFUSION)
    name = next(iter(tensors))
    tensors[name][0, 0] = float("nan")
    path = tmp_path / "a.safetensors"
    with pytest.raises(NonFiniteError, match="nothing was written"):
        lora_file.write(path, tensors, make_header())
    assert not list(tmp_path.iterdir())

    # Another writer, with a hash that fits: only the check on reading is left.
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "isfinite", lambda tensor: torch.ones_like(tensor))
        lora_file.write(path, tensors, make_header())
    refused(path, name, "not finite")


# Where writing fails ----------------------------------------------------------------------


def write_refused(path: Path, folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(InputError, match="cannot write") as error:
        write(path, new=True)
    assert str(path) in str(error.value)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_no_such_folder(tmp_path):
    write_refused(tmp_path / "missing" / "a.safetensors", tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    write_refused(tmp_path / "file" / "a.safetensors", tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        write_refused(tmp_path / "a.safetensors", tmp_path)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("exists", [False, True])
def test_file_that_cannot_grow(tmp_path, exists):
    """A real write error after the first 512 bytes."""
    path = tmp_path / "a.safetensors"
    if exists:
        write(path)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))
    try:
        write_refused(path, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("exists", [False, True])
def test_disk_full_at_the_last_moment(tmp_path, monkeypatch, exists):
    path = tmp_path / "a.safetensors"
    if exists:
        write(path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    write_refused(path, tmp_path)


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "a.safetensors")
    before = path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, new=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_header_length_is_aligned(tmp_path):
    """The format's own rule: tensor data start at a multiple of 8."""
    for length in range(9):
        content = write(tmp_path / "a.safetensors", note="x" * length).read_bytes()
        assert struct.unpack("<Q", content[:8])[0] % 8 == 0
        lora_file.read(tmp_path / "a.safetensors")

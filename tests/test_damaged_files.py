"""Pictures, verdicts, outcomes and notes that a run left: whole, or one message with the name."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from support.damage import changed, fits_or_is_refused
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome, read_outcomes, write_outcomes
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Verdict
from trace_erasure.evaluation.metrics.set_distances import Reference
from trace_erasure.evaluation.runs.records import append_jsonl, read_jsonl
from trace_erasure.evaluation.runs.run_folder import RunFolder
from trace_erasure.evaluation.runs.verdict_files import read_verdicts, write_verdicts
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.utils.picture_file import read_picture

VERDICT = Verdict(
    "emoji-sd", "objects", "trace", 0, "fox", "resnet", "p", "fox-1", "target", "a fox", 0, "ab",
    labels=("subject/fox",), probability=0.5, correct=True,
)  # fmt: skip
OUTCOME = Outcome("typo", "own", "fox", "a fox", 0, False, 2, 3, "subject/fox", {"images": 3})
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def picture(path: Path) -> Path:
    noise = torch.randint(256, (16, 16, 3), generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.byte().numpy()).save(path)
    return path


def parquet(path: Path) -> Path:
    return write_verdicts(path, [replace(VERDICT, image_seed=i) for i in range(40)])


def lines(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return append_jsonl(path, [replace(VERDICT, image_seed=i) for i in range(5)])


def outcomes(path: Path) -> Path:
    write_outcomes(path, [replace(OUTCOME, seed=i) for i in range(5)], Budget())
    return path


READERS: dict[str, tuple[str, Callable[[Path], Path], Callable[[Path], object]]] = {
    "picture": ("a.png", picture, read_picture),
    "parquet": ("a.parquet", parquet, read_verdicts),
    "json lines": ("a.jsonl", lines, lambda path: read_jsonl(path, Verdict)),
    "outcomes": ("o.jsonl", outcomes, lambda path: read_outcomes(path, Budget())),
}


@pytest.mark.parametrize("kind", READERS)
def test_whole_files_are_read(tmp_path, kind):
    name, write, read = READERS[kind]
    assert read(write(tmp_path / name))


@pytest.mark.parametrize("kind", READERS)
@SLOW
@given(data=st.data())
def test_damaged_bytes_are_read_or_one_message(tmp_path, kind, data):
    name, write, read = READERS[kind]
    file = write(tmp_path / name)
    file.write_bytes(changed(file.read_bytes(), data.draw(st.integers(0, 2**32))))
    fits_or_is_refused(read, file)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("data", [b"", b"\0", b"PAR1", b"\xff\xfe", b"[" * 99_999, b"1" * 9999])
def test_other_bytes_are_one_message(tmp_path, kind, data):
    name, _, read = READERS[kind]
    (tmp_path / name).write_bytes(data)
    if data or kind != "json lines":  # no line is no verdict
        assert not fits_or_is_refused(read, tmp_path / name)
    (tmp_path / f"folder{Path(name).suffix}").mkdir()
    assert not fits_or_is_refused(read, tmp_path / f"folder{Path(name).suffix}")


@pytest.mark.parametrize("kind", ["picture", "parquet"])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, kind):
    name, write, read = READERS[kind]
    whole = write(tmp_path / name).read_bytes()
    for end in range(0, len(whole) - 13, max(1, len(whole) // 50)):
        (tmp_path / name).write_bytes(whole[:end])
        assert not fits_or_is_refused(read, tmp_path / name)


def test_a_bit_of_a_parquet_page_is_noticed(tmp_path):
    whole = bytearray(parquet(tmp_path / "a.parquet").read_bytes())
    place = whole.index(b"\x28\xb5\x2f\xfd") + 9  # inside the first compressed page
    whole[place] ^= 1
    (tmp_path / "a.parquet").write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.parquet cannot be read .*Delete it"):
        read_verdicts(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["seed"]),
        lambda table: table.append_column("more", pyarrow.array([1])),
        lambda table: table.set_column(3, "seed", pyarrow.array(["x"])),
        lambda table: table.set_column(0, "model", pyarrow.array([None], pyarrow.string())),
        lambda table: table.rename_columns([name.upper() for name in table.column_names]),
        lambda table: pyarrow.table({"a": [1]}),
    ],
    ids=["less", "more", "type", "null", "names", "other"],
)
def test_parquet_of_something_else_is_refused(tmp_path, change):
    file = write_verdicts(tmp_path / "a.parquet", [VERDICT])
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(file)), file)
    with pytest.raises(InputError, match=r"a\.parquet"):
        read_verdicts(file)


def test_files_of_version_0_1_0_without_checksums_are_read(tmp_path):
    file = write_verdicts(tmp_path / "a.parquet", [VERDICT])
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file), file, compression="zstd")
    assert read_verdicts(file) == [VERDICT]


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", "x"), ("labels", "fox"), ("labels", [1]), ("correct", 7), ("model", None), ("", 1)],
)
def test_the_field_of_a_line_is_named(tmp_path, field, value):
    file = append_jsonl(tmp_path / "a.jsonl", [VERDICT])
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    with pytest.raises(InputError, match=rf"a\.jsonl, line 1 .*{field}"):
        read_jsonl(file, Verdict)


def test_separators_inside_a_text_split_no_line(tmp_path):
    odd = replace(VERDICT, prompt="a\u2028fox\x85b\x1cc\r\nd")
    file = append_jsonl(tmp_path / "a.jsonl", [odd, VERDICT])
    assert read_jsonl(file, Verdict) == [odd, VERDICT]


def test_a_bomb_of_a_picture_is_refused_at_once(tmp_path):
    header = io.BytesIO()
    PngImagePlugin.putchunk(
        header, b"IHDR", b"\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00"
    )
    PngImagePlugin.putchunk(header, b"IDAT", b"x\x9c")
    PngImagePlugin.putchunk(header, b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header.getvalue())
    started = time.perf_counter()
    with pytest.raises(InputError, match=r"a\.png is no picture"):
        read_picture(tmp_path / "a.png")
    assert time.perf_counter() - started < 1


def test_a_damaged_picture_of_a_run_is_drawn_again(tmp_path, caplog):
    store = ImageStore(tmp_path / "images")

    def draw() -> list[bytes]:
        drawn = generate(tiny_stable_diffusion(), "a fox", [0, 1], steps=1, store=store)
        return [image.tobytes() for image in drawn]

    first = draw()
    files = sorted(store.folder.iterdir())
    os.truncate(files[0], files[0].stat().st_size - 20)
    with caplog.at_level("WARNING"):
        assert draw() == first
    assert str(files[0]) in caplog.text and "drawn again" in caplog.text
    files[1].write_bytes(b"")
    with pytest.raises(InputError, match=str(files[1])):
        store.load(files[1].stem)


def test_a_damaged_reference_picture_is_named(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(picture(tmp_path / "b.png").read_bytes()[:100])

    class Mean:
        id = "mean"

        def features(self, images):
            return torch.zeros(len(images), 2, dtype=torch.float64)

    with pytest.raises(InputError, match=r"b\.png is no picture"):
        Reference.of_folder(tmp_path, Mean())


@pytest.mark.parametrize(
    "features", [torch.zeros(3), torch.full((2, 2), torch.inf), torch.zeros(2, 2, dtype=torch.int8)]
)
def test_damaged_reference_features_are_refused(tmp_path, features):
    Reference("a", features, "mean").save(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors are damaged"):
        Reference.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "\x00"])
def test_a_damaged_note_of_a_run_is_named(tmp_path, text):
    run = RunFolder(tmp_path)
    run.note(model="emoji-sd")
    (file,) = (tmp_path / "runs").iterdir()
    assert len(run.notes()) == 1
    file.write_text(text)
    with pytest.raises(InputError, match=file.name):
        run.notes()


def test_outcomes_of_another_budget_are_refused(tmp_path):
    file = outcomes(tmp_path / "o.jsonl")
    with pytest.raises(InputError, match=r"o\.jsonl was made with the budget"):
        read_outcomes(file, replace(Budget(), images=1))

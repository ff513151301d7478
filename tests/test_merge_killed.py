"""A list of concepts that is erased and merged goes on where it was killed, to the same file."""

from __future__ import annotations

import signal
import time

import pytest
from safetensors.torch import load_file

from support.processes import finish, start
from trace_erasure.testing import tiny_stable_diffusion

WORDS = ("fox", "horse", "owl", "boat", "tree", "car")
SPEC = "model: emoji-sd\nconcepts:\n" + "".join(
    f"  - {{phrase: {word}, surrogate: cat}}\n" for word in WORDS
)


@pytest.mark.slow
def test_a_killed_merge_keeps_its_parts_and_ends_at_the_same_file(tmp_path):
    tiny_stable_diffusion(positions=40).save_pretrained(tmp_path / "model")
    (tmp_path / "takedown.yaml").write_text(SPEC, "utf-8")

    def merge(out: str) -> list[str]:
        where = ["--model", tmp_path / "model", "--out", tmp_path / out, "--force", "--quiet"]
        return ["-m", "trace_erasure", "merge", *map(str, [tmp_path / "takedown.yaml", *where])]

    def parts() -> dict[str, int]:
        found = (tmp_path / "killed" / "parts").glob("*.safetensors")
        return {file.name: file.stat().st_mtime_ns for file in found}

    finish(start(merge("whole")))
    process = start(merge("killed"))
    deadline = time.monotonic() + 200
    while not parts() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = parts()
    assert 0 < len(kept) < len(WORDS)
    finish(start(merge("killed")))
    assert len(parts()) == len(WORDS)
    assert kept.items() <= parts().items()  # what was there is not made again
    (whole,), (found,) = ((tmp_path / out).glob("*.safetensors") for out in ("whole", "killed"))
    assert whole.name == found.name
    one, other = load_file(whole), load_file(found)
    assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)

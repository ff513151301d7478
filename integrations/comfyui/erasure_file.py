"""An erasure's file: its tensors and what its header says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from safetensors import safe_open

PROVENANCE = "trace_erasure"
SUFFIXES = (".lora_A.weight", ".lora_B.weight", ".lora_down.weight", ".lora_up.weight", ".alpha")


@dataclass(frozen=True)
class ErasureFile:
    """What a file holds.

    Attributes:
        name: of the file.
        tensors: name to tensor, as LoRA loaders take them.
        provenance: the header's entry: family, base, ranks and record.
    """

    name: str
    tensors: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def family(self) -> str:
        return self.provenance["family"]

    @property
    def modules(self) -> set[str]:
        """The names of the layers that it changes, as the file spells them."""
        return {key.removesuffix(s) for key in self.tensors for s in SUFFIXES if key.endswith(s)}

    def about(self) -> str:
        """What it erases, from which model, and what it is worth, in a few lines."""
        record, base = self.provenance["record"], self.provenance["base"]
        verdict = record.get("verdict")
        lines = [record.get("title", self.name), f"made for {self.family} ({base['pipeline']})"]
        if verdict:
            lines.append(f"verdict: {verdict['word']}: {'; '.join(verdict['why'])}")
            lines += verdict.get("advice", [])
        return "\n".join(lines)


def read(path: str, name: str) -> ErasureFile:
    """The erasure in a file. Raises ``ValueError`` for a file that is none."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if PROVENANCE not in metadata:
            raise ValueError(
                f"{name} is no erasure: its header has no {PROVENANCE!r} entry. Use a LoRA loader "
                "for any other LoRA."
            )
        names = list(file.keys())
        tensors = {key: file.get_tensor(key) for key in names}
    return ErasureFile(name, tensors, json.loads(metadata[PROVENANCE]))

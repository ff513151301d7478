"""Everything runs where the pipeline lies. Without a GPU that is shown on a pretended device."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

TRIED = ("soft-prompt", "ring-a-bell", "relearn", "image-to-image")


@pytest.mark.slow
def test_every_method_attack_and_certificate_runs_on_another_device():
    """In a process of its own, see ``pretend_device``."""
    done = subprocess.run(
        [sys.executable, __file__], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "all of it"


def main() -> None:
    import test_attacks
    import test_methods
    from support.pretend_device import NAME, Lists
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.attacks import protocol
    from trace_erasure.attacks.budget import BudgetTracker
    from trace_erasure.attacks.registry import ATTACKS
    from trace_erasure.baselines.registry import METHODS
    from trace_erasure.guarantees.certify import certify
    from trace_erasure.pipeline.denoiser import Denoiser
    from trace_erasure.testing import tiny_flux, tiny_stable_diffusion

    def erased(name: str, pipe) -> Erasure:
        settings: Any = METHODS[name]  # a dataclass, as every method is
        method = replace(settings, **test_methods.QUICK[name])
        return method.erase(pipe, [test_methods.CONCEPT], captions=test_methods.CAPTIONS)

    for build, left_out in ((tiny_stable_diffusion, "eraseanything"), (tiny_flux, "mace")):
        with Lists():
            pipe = build(positions=test_methods.POSITIONS).to(NAME)
            assert Denoiser(pipe).device.type == NAME
            made = {name: erased(name, pipe) for name in METHODS if name != left_out}
            for name, found in made.items():
                for change in found.delta.values():
                    assert change.down.device.type == change.up.device.type == "cpu", name
                    assert change.down.isfinite().all() and change.up.isfinite().all()
                with found.attach(pipe):
                    assert Denoiser(pipe).device.type == NAME
            result = certify(pipe, made["trace"], retain=["a horse"], paths=2, steps=3)
            assert result.concept is not None
            for name in TRIED:
                ledger = BudgetTracker(test_attacks.SMALL)
                arena = test_attacks.arena(pipe, test_attacks.target(), ledger)
                case = test_attacks.CASE
                outcome = protocol.run_case(name, ATTACKS[name].run, arena, case, "erased")
                assert outcome.tries >= 1
    print("all of it")


if __name__ == "__main__":
    main()

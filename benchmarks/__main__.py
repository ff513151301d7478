"""``python -m benchmarks NAME``: one benchmark, or ``tables``."""

from __future__ import annotations

import importlib
import sys

MODULES = {
    "erasure": "erasure.tasks",
    "base": "erasure.base",
    "cost": "erasure.cost",
    "compare": "comparison.table",
    "many": "merging.many",
    "switches": "merging.switch",
    "combined": "merging.combinations",
    "attacks": "attacks.benchmark",
    "certificates": "guarantees.certificates",
    "forecast": "guarantees.forecast",
    "real-sizes": "scale.closed_form",
    "real-steps": "scale.finetune",
    "budget": "scale.memory",
    "tables": "tables.documents",
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in MODULES:
        sys.exit(f"there is no benchmark {name!r}. There are: {', '.join(MODULES)}.")
    sys.argv[:2] = [f"benchmarks {name}"]
    importlib.import_module(f"benchmarks.{MODULES[name]}").main()


if __name__ == "__main__":
    main()

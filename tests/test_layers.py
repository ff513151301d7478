"""The layers of the package, read from its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trace_erasure

ROOT = Path(trace_erasure.__file__).parent

# The order of the package, lowest first. A unit is a folder or a module at the top; it may import
# from those before it, and from its own rank.
LAYERS = (
    ("errors",),
    ("math",),
    ("utils",),
    ("engines",),
    ("world",),
    ("pipeline",),
    ("concepts",),
    ("config",),
    ("config_file",),
    ("artifact",),
    ("trace",),
    ("baselines",),
    ("guarantees",),
    ("evaluation",),
    ("attacks",),
    ("reproduce",),
    ("integrations",),
    ("takedown",),
    ("demo",),
    ("testing",),
    ("studio",),
    ("cli",),
    ("__main__",),
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(file: Path) -> set[str]:
    """Every module that is imported anywhere in a file, as ``package.module.name``."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def units(file: Path) -> set[str]:
    """The package's units that a file imports: the first part below ``trace_erasure``."""
    inner = {name.split(".")[1] for name in imports(file) if name.startswith("trace_erasure.")}
    return {unit for unit in inner if unit in RANK or (ROOT / f"{unit}.py").exists()}


def test_every_module_has_a_layer():
    found = {name_of(file).split(".")[0] for file in FILES} - {""}
    assert found == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_import_runs_upwards(file):
    unit = name_of(file).split(".")[0]
    if not unit:  # the package itself only forwards names
        return
    above = {other for other in units(file) if RANK[other] > RANK[unit]}
    assert not above


def test_layers_without_any_knowledge_of_models():
    for file in FILES:
        unit = name_of(file).split(".")[0]
        outside = {name.split(".")[0] for name in imports(file)} - set(sys.stdlib_module_names)
        if unit == "math":
            assert outside <= {"torch", "jaxtyping", "trace_erasure"}, file
            assert units(file) <= {"math", "errors"}, file
        if unit in ("world", "errors"):
            assert outside <= {"yaml", "trace_erasure"}, file


def test_nothing_needs_torchvision():
    for file in FILES:
        assert not any(name.split(".")[0] == "torchvision" for name in imports(file)), file


def test_importing_the_package_is_instant():
    code = (
        "import sys, trace_erasure; from trace_erasure import Concept, InputError;"
        "print(sorted({'torch', 'diffusers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_what_they_say():
    for name in trace_erasure.__all__:
        assert getattr(trace_erasure, name) is not None
    assert set(trace_erasure.__all__) <= set(dir(trace_erasure))
    with pytest.raises(AttributeError, match="no attribute 'eraser'"):
        _ = trace_erasure.eraser  # type: ignore[attr-defined]


def test_old_names_still_work_and_say_the_new_ones():
    for old, new in trace_erasure._DEPRECATED.items():
        with pytest.warns(DeprecationWarning, match=f"{old} is now trace_erasure.{new}"):
            assert getattr(trace_erasure, old) is getattr(trace_erasure, new)
        assert old not in trace_erasure.__all__


def test_one_version_everywhere():
    import tomllib

    file = ROOT.parents[1] / "pyproject.toml"
    assert tomllib.loads(file.read_text("utf-8"))["project"]["version"] == trace_erasure.__version__

"""Every figure of README and docs: what is measured, the rows that came of it, the tables.

``python -m benchmarks --help`` lists the benchmarks. This package is not part of the wheel; it is
run from the root of a clone.
"""

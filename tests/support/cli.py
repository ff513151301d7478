"""Runs the command line in this process, and reads how it ended."""

from __future__ import annotations

from typer.testing import CliRunner

from trace_erasure.cli import app


def call(*arguments):
    """The result of ``trace-erasure`` with ``arguments``."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fails(result, code=2):
    """The message of a command that ended with one line on stderr, and with ``code``."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr
    return result.stderr

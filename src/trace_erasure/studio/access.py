"""Where the studio listens, and who may come in."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from trace_erasure.errors import InputError

LOCAL = "127.0.0.1"
USER = "studio"
"""The name to log in with."""
PASSWORD = "TRACE_ERASURE_PASSWORD"
"""The environment variable with the password."""
SHORTEST = 12
PORTS = (1024, 65535)


@dataclass(frozen=True)
class Access:
    """Where to listen. Beyond this machine only with a password.

    Attributes:
        host: a name or an address of this machine.
        port: None takes the first that is free from 7860 on.
        share: whether Gradio's servers pass visitors on, at an address of theirs.
        password: None lets in whoever reaches the address.

    Raises:
        InputError: a public address without a password, a password that is short, or a port out of
            range.

    >>> Access().public, Access("0.0.0.0", password="correct horse").public
    (False, True)
    """

    host: str = LOCAL
    port: int | None = None
    share: bool = False
    password: str | None = None

    def __post_init__(self) -> None:
        lowest, highest = PORTS
        if self.port is not None and not lowest <= self.port <= highest:
            raise InputError(
                f"port {self.port} is out of range. Choose one from {lowest} to {highest}."
            )
        if self.password is not None and len(self.password) < SHORTEST:
            raise InputError(
                f"the password has {len(self.password)} characters. Choose one of {SHORTEST} or "
                "more."
            )
        if self.public and self.password is None:
            where = "a public link" if self.share else f"the address {self.host}"
            raise InputError(
                f"{where} lets others use this machine. Set a password in {PASSWORD} or with "
                "--password-file, or listen on 127.0.0.1."
            )

    @property
    def public(self) -> bool:
        """Whether others than this machine can come in."""
        return self.share or not _is_loopback(self.host)

    @property
    def login(self) -> tuple[str, str] | None:
        """Name and password; None where none is asked for."""
        return None if self.password is None else (USER, self.password)


def read_password(file: Path | None) -> str | None:
    """The password in the first line of ``file``, else in the environment; None where neither is.

    Raises ``InputError`` where the file cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(PASSWORD) or None
    try:
        found = file.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the password in {file}: {error}. Check the file.") from error
    if not found:
        raise InputError(f"the first line of {file} is empty. Write the password there.")
    return found


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""The ledger's file: one SQLite database that several processes write to, never half-written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from trace_erasure.errors import InputError
from trace_erasure.takedown.schema import APPLICATION, SCHEMA, VERSION
from trace_erasure.takedown.settings import USUAL, Settings
from trace_erasure.takedown.stamps import moment, signature

PATIENCE = 30.0
"""Seconds to wait for another process that writes."""
REMEDIES = (
    ("locked", f"Another process has written to it for {PATIENCE:g} s. Try again."),
    ("not a database", "It is no ledger. Give the file that `takedown init` wrote."),
    ("malformed", "It is damaged. Put back a copy of it."),
    ("readonly", "Make it writable, and its folder."),
    ("full", "Make room on the disk."),
    ("unable to open", "Give a file in a folder that exists and that you may write to."),
    ("", "Check the file and its disk."),
)
"""Part of SQLite's message, and what to do; the first that fits counts."""


@dataclass(frozen=True)
class Ledger:
    """A ledger in the file ``path``. What is made for it lies in ``files``, beside it.

    Every change is one transaction: a process that is killed leaves all of it, or nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger.create(f"{folder}/takedown.db", by="legal")
    ...     ledger.files.name, ledger.settings.hardening
    ('takedown.db-files', 'off')
    """

    path: Path

    @classmethod
    def create(
        cls,
        path: str | Path,
        settings: Settings = USUAL,
        by: str | None = None,
        at: str | None = None,
    ) -> Ledger:
        """An empty ledger in a new file.

        Raises ``InputError`` where the file is there already or cannot be written.
        """
        ledger = cls(Path(path))
        row = (json.dumps(asdict(settings)), signature(by), moment(at))
        with _explained(ledger.path), closing(ledger._connect("rwc")) as database:
            if database.execute("PRAGMA schema_version").fetchone()[0]:
                raise InputError(f"{path} is there already. Use it, or choose another name.")
            database.execute("PRAGMA journal_mode = WAL")
            with _transaction(database, "BEGIN IMMEDIATE"):
                if database.execute("PRAGMA schema_version").fetchone()[0]:
                    raise InputError(f"{path} was just made by another process. Use it.")
                for statement in filter(str.strip, SCHEMA.split(";")):
                    database.execute(statement)
                database.execute("INSERT INTO ledger VALUES (?, ?, ?)", row)
        return ledger

    @property
    def files(self) -> Path:
        """The folder of erasures, LoRA files and manifests."""
        return self.path.with_name(f"{self.path.name}-files")

    @property
    def settings(self) -> Settings:
        """How every erasure is made."""
        with self.reading() as database:
            (text,) = database.execute("SELECT settings FROM ledger").fetchone()
        return Settings(**json.loads(text))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The ledger as it is at one moment.

        Raises ``InputError`` where there is none, or it is of a later version.
        """
        with self._open("BEGIN") as database:
            yield database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A change that is made whole, after those of other processes; none if it fails.

        Raises ``InputError`` as ``reading`` does, and where another process does not finish.
        """
        with self._open("BEGIN IMMEDIATE") as database:
            yield database

    @contextmanager
    def build_lock(self) -> Iterator[None]:
        """Keeps other builds of this ledger out; requests come and go meanwhile.

        The lock is the operating system's, so that a killed build holds none. Raises
        ``InputError`` where another build runs.
        """
        self.check()
        try:
            self.files.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the folder {self.files}: {error.strerror}. Move the ledger to a "
                "folder that you may write to."
            ) from error
        with closing(sqlite3.connect(self.files / ".lock", timeout=0)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise InputError(
                    f"another build of {self.path} is running. Wait until it is done, or stop it."
                ) from error
            yield

    def check(self) -> None:
        """Raises ``InputError`` where the file is no ledger that this version reads."""
        with self.reading():
            pass

    @contextmanager
    def _open(self, begin: str) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():
            raise InputError(f"there is no ledger {self.path}. Make it with `takedown init`.")
        with (
            _explained(self.path),
            closing(self._connect("rw")) as database,
            _transaction(database, begin),
        ):
            found = database.execute("PRAGMA application_id").fetchone()[0]
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if found != APPLICATION:
                raise InputError(
                    f"{self.path} is no ledger. Give the file that `takedown init` wrote."
                )
            if version != VERSION:
                raise InputError(
                    f"{self.path} has format {version}, and this version reads {VERSION}. "
                    "Upgrade trace-erasure."
                )
            yield database

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        database = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA synchronous = FULL")
        return database


@contextmanager
def _transaction(database: sqlite3.Connection, begin: str) -> Iterator[None]:
    database.execute(begin)
    try:
        yield
    except BaseException:
        if database.in_transaction:  # a full disk ends it by itself
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what SQLite says of a file into an ``InputError``; a broken rule of ours is a bug."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        remedy = next(remedy for part, remedy in REMEDIES if part in str(error))
        raise InputError(f"cannot use the ledger {path}: {error}. {remedy}") from error

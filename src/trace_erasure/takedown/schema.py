"""The tables of a ledger."""

from __future__ import annotations

APPLICATION = int.from_bytes(b"TRCL", "big")
"""SQLite's ``application_id`` of a ledger."""
VERSION = 1
SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE ledger (settings TEXT NOT NULL, created_by TEXT, created_at TEXT NOT NULL);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT, added_by TEXT, added_at TEXT NOT NULL,
    withdrawn_by TEXT, withdrawn_at TEXT, reason TEXT);
CREATE UNIQUE INDEX open_reference ON requests (reference) WHERE withdrawn_at IS NULL;
CREATE TABLE concepts (id INTEGER PRIMARY KEY, key TEXT NOT NULL, data TEXT NOT NULL UNIQUE);
CREATE INDEX concept_key ON concepts (key);
CREATE TABLE phrases (
    phrase TEXT NOT NULL, concept INTEGER NOT NULL REFERENCES concepts, leads INTEGER NOT NULL,
    PRIMARY KEY (phrase, concept)) WITHOUT ROWID;
CREATE TABLE asked (
    request INTEGER NOT NULL REFERENCES requests, concept INTEGER NOT NULL REFERENCES concepts,
    PRIMARY KEY (request, concept)) WITHOUT ROWID;
CREATE INDEX asked_concept ON asked (concept);
CREATE TABLE bases (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, revision TEXT, variant TEXT,
    family TEXT NOT NULL, fingerprint TEXT NOT NULL, folder TEXT NOT NULL UNIQUE,
    seen INTEGER NOT NULL);
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY, base INTEGER NOT NULL REFERENCES bases,
    concept INTEGER NOT NULL REFERENCES concepts, key TEXT NOT NULL, file TEXT NOT NULL,
    sha256 TEXT NOT NULL, verdict TEXT, report TEXT, made_by TEXT, made_at TEXT NOT NULL,
    UNIQUE (base, key));
CREATE TABLE builds (
    id INTEGER PRIMARY KEY, base INTEGER NOT NULL REFERENCES bases, inputs TEXT NOT NULL,
    content TEXT NOT NULL, file TEXT, sha256 TEXT, manifest TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL, built_by TEXT, built_at TEXT NOT NULL);
CREATE INDEX build_base ON builds (base);
CREATE TABLE parts (
    build INTEGER NOT NULL REFERENCES builds, artifact INTEGER NOT NULL REFERENCES artifacts,
    PRIMARY KEY (build, artifact)) WITHOUT ROWID;
"""

"""Tables of README and docs, made of the rows."""

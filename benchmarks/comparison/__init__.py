"""TRACE beside other methods, and with its parts changed."""

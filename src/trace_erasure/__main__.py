"""``python -m trace_erasure``, for launchers that start modules."""

from trace_erasure.cli import main

if __name__ == "__main__":
    main()

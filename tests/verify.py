"""Verifies Spanseal ledgers: a second implementation, written from docs/format.md alone.

    python3 tests/verify.py vectors DIR...
    python3 tests/verify.py directory DIR [--trust FILE] [--max-age SECONDS] [--now SECONDS] [--json]
    python3 tests/verify.py batch
    python3 tests/verify.py selftest

Needs Python 3.11 and the `cryptography` package.
"""

import sys

from verifier.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""The words that every script takes which reads a results folder."""

import argparse
from pathlib import Path


def results_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of `RESULTS --out FOLDER`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    return parser

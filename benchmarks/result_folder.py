"""The folder a benchmark writes to, where the user names one. Knows no figure."""

import argparse
from pathlib import Path


def result_folder(typed: str) -> Path:
    """Return the folder that was typed, made before anything is measured.

    Raises argparse.ArgumentTypeError where it can't be made.
    """
    folder = Path(typed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{typed}: {error.strerror}") from None
    return folder

"""The files that a search starts from, and the corpus of files that were once bad."""

from functools import cache
from pathlib import Path

from fuzzing.edits import Lines
from fuzzing.readers import CAPTURE, INDEX, PROFILE, READERS, TABLE, Reader
from specprof.plan import profiles

DATA = Path(__file__).parents[2] / "data"
SEEDS = DATA / "fuzz" / "seeds"
"""Small healthy files of every kind; `benchmarks/fuzz_seeds.py` records the captures."""
FOUND = DATA / "fuzz" / "found"
"""Files that this search found, made as small as possible: `READER-NUMBER.SUFFIX`."""
HOSTILE = DATA / "hostile"
"""Files that were made or found by other means."""
PLACES = {
    CAPTURE: (SEEDS, "*.jsonl"),
    TABLE: (SEEDS, "table*"),
    INDEX: (SEEDS, "sweep*.json"),
}
KINDS = {
    ".jsonl": {CAPTURE},
    ".json": {INDEX, TABLE},
    ".toml": {PROFILE, TABLE},
    **{suffix: {TABLE} for suffix in (".csv", ".tsv", ".md")},
}
PROFILES = ("default", "eagle", "length-sweep", "memory")
"""The shipped profiles that a search starts from; profiles of many cells take long to check."""
DAMAGED = ("acquit-", "mid-round-damaged", "last-round-damaged", "rounds-twice", "reversed")
"""Beginnings of the names of healthy captures whose only fault is damaged lines."""


@cache
def seeds(of: str) -> dict[str, Lines]:
    """Return the seeds of a kind of file by name, as lines."""
    if of == PROFILE:
        paths = [path for name, path in profiles().items() if name in PROFILES]
    else:
        folder, named = PLACES[of]
        paths = sorted(folder.glob(named))
    return {path.name: path.read_bytes().splitlines(keepends=True) for path in paths}


def corpus() -> list[tuple[Reader, Path]]:
    """Return every file that was ever bad, with each reader of its kind."""
    paths = sorted(path for folder in (HOSTILE, FOUND) for path in folder.rglob("*.*"))
    return [
        (reader, path)
        for path in paths
        for reader in READERS.values()
        if reader.of in kinds(path) and (not reader.damage or path.name.startswith(DAMAGED))
    ]


def kinds(path: Path) -> set[str]:
    """Return the kinds of files that a file may be, by its name."""
    return KINDS.get(path.suffix, set())

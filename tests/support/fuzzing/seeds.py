"""The files that a search starts from, and those that once were bad: the corpus."""

from functools import cache
from pathlib import Path

from fuzzing.edits import Lines
from fuzzing.readers import CAPTURE, INDEX, PROFILE, READERS, TABLE, Reader
from specprof.plan import profiles

DATA = Path(__file__).parents[2] / "data"
SEEDS = DATA / "fuzz" / "seeds"
"""Healthy files, small ones of every kind; `benchmarks/fuzz_seeds.py` records the captures."""
FOUND = DATA / "fuzz" / "found"
"""What this search found, made as small as it could: `READER-NUMBER.SUFFIX`."""
HOSTILE = DATA / "hostile"
"""What was made or found by other means."""
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
"""The shipped ones that are searched from: those with many cells take long to check."""
DAMAGED = ("acquit-", "mid-round-damaged", "last-round-damaged", "rounds-twice", "reversed")
"""How files are called that are healthy captures with damaged lines, and nothing else."""


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
    """Return what a file may be given as, by its name."""
    return KINDS.get(path.suffix, set())

"""What went wrong while a loop was recorded: written down once of each kind, and never raised.

The loop that is recorded is worth more than its recording. Only wrong calls are raised.
"""

from collections.abc import Callable

from msgspec.structs import replace

from specprof.errors import NOT_FINITE, UsageError
from specprof.plain import brief
from specprof.recording.rows import Lawless
from specprof.records import Recheck, Round

UNLAWFUL = "probabilities are negative, or don't sum to 1"
COUNTED = "it and later rounds like it are counted and timed, and no law of theirs is judged"
READ_SO = "laws are made of them as they are"
MAX_REASON_CHARS = 300
"""Characters kept of an error's own words."""


class Troubles:
    """Notes the first trouble of each kind."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Write a remark with `note`."""
        self._note = note
        self._noted: set[str] = set()
        self._rechecked = False

    def take_rows(self, number: int, found: Lawless) -> None:
        """Note that a round's rows are no laws."""
        wrong = UNLAWFUL if found.finite else f"{NOT_FINITE} or infinity, or rule every id out"
        what = f"the {found.whose}'s {wrong}"
        self._note_once(what, f"round {number:,}: {what}; {COUNTED}")

    def take_evidence_error(self, number: int, error: Exception) -> None:
        """Note that the evidence of some rounds up to this one can't be computed."""
        what = f"the evidence can't be computed: {_describe(error)}"
        self._note_once(f"evidence {type(error).__name__}", f"round {number:,}: {what}; {COUNTED}")

    def take_reading(self, model: str, found: str) -> None:
        """Note that a model's rows are not raw logits, and so are read as what they are."""
        self._note_once(f"rows of the {model}", f"the {model}'s rows are {found}: {READ_SO}")

    def take_doubt(self, model: str) -> None:
        """Note that rows may be raw or filtered, and that nothing says which."""
        text = (
            f"the {model}'s rows rule ids out, and whether by the filters is not known; {COUNTED}"
        )
        self._note_once(f"doubtful rows of the {model}", text)

    def take_reading_error(self, error: Exception) -> None:
        """Note that the first rows can't be compared with recomputed ones."""
        text = f"whether rows are raw can't be found out: {_describe(error)}; {READ_SO}"
        self._note_once(f"reading {type(error).__name__}", text)

    def take_recheck_error(self, burst: int, error: Exception) -> None:
        """Note that a burst can't be rechecked.

        Raises UsageError if a reference of the wrong shape has never answered rightly.
        """
        if isinstance(error, UsageError) and not self._rechecked:
            raise error
        what = f"burst {burst:,} can't be rechecked: {_describe(error)}"
        text = f"{what}; it and later bursts like it count as not rechecked"
        self._note_once(f"recheck {type(error).__name__}", text)

    def take_recheck(self, found: Recheck) -> None:
        """Note that the reference answered, and how many of its rows are no numbers."""
        self._rechecked = True
        if found.unknown:
            rows = f"{found.unknown:,} rows of the target, computed anew from the text,"
            text = f"burst {found.burst:,}: {rows} hold NaN or infinity: they are not rechecked"
            self._note_once("recheck", text)

    def _note_once(self, kind: str, text: str) -> None:
        if kind not in self._noted:
            self._noted.add(kind)
            self._note(text)


def has_evidence(played: Round) -> bool:
    """Return whether a round holds probabilities."""
    return any(one.seen is not None for one in played.drafted)


def without_evidence(played: Round) -> Round:
    """Return a round with its counts and times alone."""
    return replace(
        played,
        drafted=[replace(one, seen=None) for one in played.drafted],
        final_target_prob=None,
        final_draft_prob=None,
        final_rank=None,
        final_order=None,
    )


def _describe(error: Exception) -> str:
    return brief(" ".join(f"{type(error).__name__}: {error}".split()), MAX_REASON_CHARS)

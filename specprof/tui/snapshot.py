"""A capture as it stood after some round: what one redraw of the screen is made from.

Knows Columns and the totals the screen prints; nothing of files, threads or widgets. Live, paused
and replayed screens are one thing: a snapshot of the first rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from specprof.analysis.columns import Columns
from specprof.analysis.perplexity import perplexity
from specprof.diagnosis.diagnose import Diagnosis, Verdict
from specprof.diagnosis.report import findings_in_order
from specprof.tui.figures import share

State = Literal[
    "waiting",
    "reading",
    "recording",
    "silent",
    "unseen",
    "complete",
    "interrupted",
    "failed",
    "INCOMPLETE",
]
"""Of a run. It is `reading` while the file holds more and nobody is seen to write. Without a new
line for long it is `silent` where its recorder is seen to live, `unseen` where it can't be seen,
and `INCOMPLETE` where it is seen to be gone."""
ENDED: Final = frozenset[State]({"complete", "interrupted", "failed"})
Lost = Literal["deleted", "replaced", "overwritten"]
"""What has become of a file: no name is left, another has its name, it holds another run."""


def ids_only(token: int) -> str:
    """Write a token as its id: the vocabulary where none was found."""
    return f"⟨{token}⟩"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything one redraw shows."""

    columns: Columns = field(default_factory=Columns)
    """Cut to the rounds shown; never fed again."""
    state: State = "waiting"
    recorded: int = 0
    """Rounds in the file, shown or not."""
    damaged: int = 0
    """Lines that were no event and were skipped."""
    torn: bool = False
    silent_s: float | None = 0.0
    """Since the file last grew; None where its time lies in the future."""
    lost: Lost | None = None
    """What has become of the file, where its name no longer leads to what was read."""
    playing: str = ""
    """How the display moves where it doesn't follow the file: `PAUSED`, `REPLAY 4x`."""
    diagnosis: Diagnosis | None = None
    """Of the whole recording so far, shown or not; None before the first answer."""
    judged: int = 0
    """Rounds the diagnosis rests on."""
    token_text: Callable[[int], str] = ids_only
    needle: str = ""
    """What the user filters tokens and findings by."""
    log: tuple[str, ...] = ()
    """The last lines of the run's own output."""
    viewer_share: float | None = None
    """The viewer's own processor time over wall time since it started."""

    @cached_property
    def rounds(self) -> int:
        """Rounds shown."""
        return len(self.columns.rounds)

    @cached_property
    def depth(self) -> int:
        """K: the most tokens drafted, levels of a tree, or asked for, in a round."""
        table = self.columns.rounds
        return int(max(table.levels.max(initial=0), table.depth_asked.max(initial=0)))

    @cached_property
    def shown_ns(self) -> int:
        """Run time at the end of the last round shown, or of the last pass over known text."""
        if self.columns.end:
            return self.columns.end.wall_ns
        passes, ends_ns = self.columns.passes, self.columns.rounds.end_ns
        last_ns = passes.start_ns[-1:] + passes.wall_ns[-1:]
        return int(max(ends_ns[-1:].max(initial=0), last_ns.max(initial=0)))

    @property
    def reached(self) -> str:
        """What acceptance is counted by: `reached`, in a tree `reached level`."""
        return "reached level" if self.columns.trees else "reached"

    @property
    def tau(self) -> float | None:
        """Emitted tokens per round, bonus in."""
        return share(self.columns.rounds.emitted.sum(), self.rounds)

    @property
    def alpha_cond(self) -> float | None:
        """Accepted per reached drafted token, in a tree per reached level."""
        return share(self.columns.rounds.accepted.sum(), self.columns.rounds.reached_levels.sum())

    @property
    def accept_frac(self) -> float | None:
        """Accepted per drafted token."""
        return share(self.columns.rounds.accepted.sum(), self.columns.rounds.drafted.sum())

    @property
    def tokens_per_target_forward(self) -> float | None:
        """Emitted tokens per forward pass of the target."""
        table = self.columns.rounds
        return share(table.emitted.sum(), table.target_forwards.sum())

    @property
    def perplexity(self) -> float | None:
        """Of the known text scored; None where none was."""
        found = perplexity(self.columns)
        return found.value if found else None

    @property
    def recorder_share(self) -> float | None:
        """The profiler's own cost over the run's wall time; known once the run has ended."""
        end = self.columns.end
        return share(end.write_ns + end.observe_ns, end.wall_ns) if end else None

    @property
    def found(self) -> list[Verdict]:
        """The verdicts of the rules that fired and match the filter, the leading one first."""
        needle = self.needle.lower()
        return [
            verdict
            for verdict in (findings_in_order(self.diagnosis) if self.diagnosis else ())
            if verdict.finding and needle in f"{verdict.rule} {verdict.finding.message}".lower()
        ]

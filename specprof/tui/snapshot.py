"""A capture as it was after some round: the input of one redraw of the screen.

Knows Columns and the totals that the screen prints; nothing of files, threads or widgets. Live,
paused and replayed screens all show a snapshot of the first rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from specprof.analysis.columns import Columns
from specprof.analysis.perplexity import perplexity
from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.report import findings_in_order
from specprof.diagnosis.verdict import Verdict
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
"""State of a run. `reading`: the file holds unread lines and no process writes. After a long time
without a new line: `silent` if the recorder lives, `unseen` if that can't be seen. `INCOMPLETE`:
the recorder has ended without a closing line."""
ENDED: Final = frozenset[State]({"complete", "interrupted", "failed"})
Lost = Literal["deleted", "replaced", "overwritten"]
"""What happened to a file: its name is gone, another file has its name, or it holds another run."""


def ids_only(token: int) -> str:
    """Return a token's id as text, for captures whose vocabulary was not found."""
    return f"⟨{token}⟩"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything one redraw shows."""

    columns: Columns = field(default_factory=Columns)
    """Cut to the rounds shown; never extended."""
    state: State = "waiting"
    recorded: int = 0
    """Rounds in the file, shown or not."""
    damaged: int = 0
    """Lines that were skipped because they are no event."""
    torn: bool = False
    silent_s: float | None = 0.0
    """Seconds since the file last grew; None where its modification time lies in the future."""
    lost: Lost | None = None
    """What happened to the file, if its name no longer leads to the capture that was read."""
    playing: str = ""
    """`PAUSED` or `REPLAY 4x`; empty while the display follows the file."""
    diagnosis: Diagnosis | None = None
    """Diagnosis of the whole recording so far, shown or not; None before the first one."""
    judged: int = 0
    """Rounds that the diagnosis judged."""
    token_text: Callable[[int], str] = ids_only
    needle: str = ""
    """The text by which the user filters tokens and findings."""
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
        """K: the largest number of tokens (in a tree: levels) drafted or asked for in a round."""
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
        """The name of the denominator of acceptance: `reached`, in a tree `reached level`."""
        return "reached level" if self.columns.trees else "reached"

    @property
    def tau(self) -> float | None:
        """Emitted tokens per round, bonus tokens included."""
        return share(self.columns.rounds.emitted.sum(), self.rounds)

    @property
    def alpha_cond(self) -> float | None:
        """Accepted drafts per reached draft, in a tree per reached level."""
        return share(self.columns.rounds.accepted.sum(), self.columns.rounds.reached_levels.sum())

    @property
    def accept_frac(self) -> float | None:
        """Accepted drafts per drafted token."""
        return share(self.columns.rounds.accepted.sum(), self.columns.rounds.drafted.sum())

    @property
    def tokens_per_target_forward(self) -> float | None:
        """Emitted tokens per forward pass of the target."""
        table = self.columns.rounds
        return share(table.emitted.sum(), table.target_forwards.sum())

    @property
    def perplexity(self) -> float | None:
        """Perplexity of the scored text; None where no text was scored."""
        found = perplexity(self.columns)
        return found.value if found else None

    @property
    def recorder_share(self) -> float | None:
        """The profiler's own time over the run's wall time; None before the run has ended."""
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

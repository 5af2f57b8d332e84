"""Reads a loop's rows as what they are: raw, as its warpers left them, or probabilities.

Rows are compared with recomputed ones once, in the first rounds that tell the readings apart.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from specprof.engine.recheck.processed import MIN_LOGIT
from specprof.engine.recheck.readings import Reading, Readings, find_reading
from specprof.engine.recheck.recheck import Reference, recompute
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Law
from specprof.recording.troubles import Troubles

Role = Literal["target", "draft"]
MAX_TRIES = 8
"""Rounds whose rows are recomputed, where none of them tells the readings apart."""


class RowReader:
    """Holds how the rows of both models are read."""

    def __init__(
        self,
        readings: Readings,
        reference: Reference | None,
        troubles: Troubles,
        longest: int,
    ) -> None:
        """Begin with rows as they should be; recompute none behind more than `longest` tokens."""
        self.readings = readings
        self._reference = reference
        self._troubles = troubles
        self._longest = longest
        self._tries = 0
        self._unasked = {
            model
            for model, reading in (("target", readings.target), ("draft", readings.draft))
            if reading.declared.filters
        }
        """Models with filters whose rows were not compared with recomputed ones."""
        self._open: set[Role] = set()
        """Models whose rows may be read in more than one way."""
        if reference is not None:
            self._open |= {"target"} if _is_telling(readings.target.declared) else set()
            self._open |= {"draft"} if _is_telling(readings.draft.declared) else set()
        self._as_laws = False

    @property
    def law(self) -> Law:
        """The law to be made of the rows that `read` returns."""
        return self.readings.law

    @property
    def draws(self) -> bool:
        """As `Readings.draws`."""
        return self.readings.draws

    def read(
        self,
        target: torch.Tensor,
        draft: torch.Tensor | None,
        text: Sequence[int],
        accepted: Sequence[int],
        *,
        as_laws: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the target's rows [N+1, vocab] and the draft's [N, vocab], restored.

        text: the committed tokens; accepted: the drafts of a chain that stand after them.
        """
        if as_laws and not self._as_laws:
            self._take_laws()
        short = len(text) + len(accepted) <= self._longest
        if self._open and self._tries < MAX_TRIES and short:
            self._tries += 1
            try:
                self._find("target", target[: len(accepted) + 1], text, accepted)
                if draft is not None and len(draft):
                    self._find("draft", draft[: len(accepted) + 1], text, accepted)
            except Exception as error:  # noqa: BLE001 - the user's function is asked, too
                self._troubles.take_reading_error(error)
        own = None if draft is None else self.readings.draft.restore(draft)
        return self.readings.target.restore(target), own

    def knows(self, target: torch.Tensor, draft: torch.Tensor | None) -> bool:
        """Return whether it is known how these rows, [n, vocab] as handed over, are to be read.

        Rows that rule ids out may be filtered already. Without a model nothing says so.
        """
        if self._as_laws or self.readings.target.declared.greedy:
            return True
        for model, rows in (("target", target), ("draft", draft)):
            if rows is None or model not in self._unasked:
                continue
            if bool((rows <= MIN_LOGIT).any()):
                self._troubles.take_doubt(model)
                return False
        return True

    def _take_laws(self) -> None:
        self._as_laws = True
        target, draft = (
            replace(each, as_laws=True) for each in (self.readings.target, self.readings.draft)
        )
        self.readings = Readings(target, draft)
        self._open.discard("draft")  # its law may be of a temperature of its own

    def _find(
        self, model: Role, rows: torch.Tensor, text: Sequence[int], accepted: Sequence[int]
    ) -> None:
        """Compare a model's rows [n, vocab], behind the text and each accepted draft."""
        if model not in self._open or self._reference is None:
            return
        now = self.readings.target if model == "target" else self.readings.draft
        texts = [[*text, *accepted[:count]] for count in range(len(rows))]
        clean = recompute(self._reference, model, texts[-1], len(rows))
        if clean is None:
            self._open.discard(model)
            return
        self._unasked.discard(model)
        dtype = self._reference.dtype_of(model)
        found = find_reading(now.declared, rows, clean, texts, dtype=dtype, as_laws=now.as_laws)
        if found is not None:
            self._open.discard(model)
            self._take(model, found)

    def _take(self, model: Role, found: Reading) -> None:
        """Read the model's rows so from now on; note what is not as they should be handed over."""
        if found.describe():
            self._troubles.take_reading(model, found.describe())
        if model == "draft":
            self.readings = replace(self.readings, draft=found)
            return
        if self.readings.target.as_laws and not found.as_laws:
            self._troubles.take_reading(model, "probabilities before the temperature and filters")
        self.readings = replace(self.readings, target=found)


def _is_telling(declared: ProcessedLaw) -> bool:
    """Return whether rows that are raw and rows that are not would be read differently."""
    return not declared.greedy and (declared.temperature != 1 or declared.filters)

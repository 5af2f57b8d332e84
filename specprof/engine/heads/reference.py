"""What a head should have answered: told again from the bare text, without any cache.

After committed text a head reads the target's own states, taken here from a plain forward of the
target. Further drafts of a round stand on the head's own answers; those are fed once more beside
the text, each round's seeing the text it started from and one another, in one forward a level.
"""

from collections.abc import Iterable, Sequence

import torch

from specprof.engine.features import Taps, catching_states
from specprof.engine.heads.head import Head

Line = tuple[int, int]
"""A place: how many tokens were committed when its round began, and how many it drafted since."""


class HeadReference(torch.nn.Module):
    """A head and its target, asked about a whole text at once."""

    def __init__(
        self, head: Head, kept: torch.nn.Module, target: torch.nn.Module, taps: Taps
    ) -> None:
        """Let `kept` answer for the head as its cache would, and `target` for the target.

        Where the cache is not dense `kept` attends by the order of the text alone: it then answers
        for first drafts only.
        """
        super().__init__()
        self.head = head
        self.kept = kept
        self.target = target
        self.taps = taps

    @torch.inference_mode()
    def answers(self, committed: Sequence[int], lines: Sequence[Line]) -> torch.Tensor:
        """Return [lines, vocab] float32 logits on the host; a row of nan where it can't say."""
        text = torch.tensor([list(committed)], device=self.head.fc.weight.device)
        states = self.head.fuse(self._features(text))[:-1]  # [rows, width], row i beside token i+1
        told = self._text(text, states)
        found = {(row + 2, 0): answer for row, answer in enumerate(told)}
        if self.kept is self.head:
            found |= self._drafts(text, states, told, _deepest(lines))
        logits = self.head.logits(torch.stack([found.get(line, told[0]) for line in lines])).cpu()
        logits[[line not in found for line in lines]] = torch.nan
        return logits

    def _features(self, text: torch.Tensor) -> torch.Tensor:
        """Return [n, reads] the target's states over [1, n] tokens."""
        with catching_states(self.taps) as states:
            self.target(text, use_cache=False, logits_to_keep=1)
        return torch.cat([each for each in states if each is not None], -1)[0]

    def _text(self, text: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Return [rows, width] the answers after each token but the first."""
        rows = torch.arange(states.shape[0], device=text.device)
        mask = None if self.kept is not self.head else self._mask(rows <= rows[:, None])
        answers: torch.Tensor = self.kept(
            text[:, 1:], hidden=states[None], positions=rows[None], mask=mask
        )
        return answers[0]

    def _drafts(
        self, text: torch.Tensor, states: torch.Tensor, told: torch.Tensor, depths: dict[int, int]
    ) -> dict[Line, torch.Tensor]:
        """Return the answers after each round's own drafts: `depths` says how many, by its start.

        Rows beside the text's are its drafts, level by level.
        """
        found: dict[Line, torch.Tensor] = {}
        rows = torch.arange(states.shape[0], device=text.device)
        tokens, hidden = text[0, 1:], states
        positions, starts = rows, torch.full_like(rows, -1)  # whose draft a row is
        for level in range(1, max(depths.values(), default=0) + 1):
            going = [start for start, depth in depths.items() if depth >= level]
            fed = torch.tensor(going, device=text.device)
            before = [told[start - 2] if level == 1 else found[start, level - 1] for start in going]
            tokens = torch.cat([tokens, text[0, fed + level - 1]])
            hidden = torch.cat([hidden, torch.stack(before)])
            positions = torch.cat([positions, fed + level - 2])
            starts = torch.cat([starts, fed])
            seen = _visible(positions, starts)
            answers = self.head(tokens[None], hidden[None], positions[None], self._mask(seen))[
                0, -len(going) :
            ]
            found |= {(start, level): one for start, one in zip(going, answers, strict=True)}
        return found

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        """Return [1, 1, rows, rows] additive, for [rows, rows] bool."""
        dtype = self.head.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]


def _visible(positions: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Return [rows, rows] bool: of the text what lies before, and a round's own drafts.

    A draft of a round that began after `starts` tokens sees the first `starts` - 1 rows.
    """
    before = positions <= positions[:, None]
    own = starts == starts[:, None]
    known = (starts < 0) & (positions < starts[:, None] - 1)
    return before & (own | known)


def _deepest(lines: Iterable[Line]) -> dict[int, int]:
    """Return how many drafts are asked of each round that began after two tokens or more."""
    depths: dict[int, int] = {}
    for start, level in lines:
        if start > 1:
            depths[start] = max(depths.get(start, 0), level)
    return depths

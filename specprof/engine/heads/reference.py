"""What a head should have answered: recomputed from the bare text, without any cache.

After committed text a head reads the target's own states; here they come from a plain forward of
the target. Later drafts of a round read the head's own answers. Those drafts are fed again beside
the text, in one forward a level. A round's drafts see the text before the round, and each other.
"""

from collections.abc import Iterable, Sequence

import torch

from specprof.engine.features import Taps, catching_states
from specprof.engine.heads.head import Head

Line = tuple[int, int]
"""A place: the number of tokens committed when its round began, and of tokens drafted since."""


class HeadReference(torch.nn.Module):
    """A head and its target, asked about a whole text at once."""

    def __init__(
        self, head: Head, kept: torch.nn.Module, target: torch.nn.Module, taps: Taps
    ) -> None:
        """Compute the head's answers with `kept`, which attends as its cache does.

        `target` does so for the target. If the head's cache is not dense, `kept` attends in the
        order of the text alone, and only first drafts have answers.
        """
        super().__init__()
        self.head = head
        self.kept = kept
        self.target = target
        self.taps = taps

    @torch.inference_mode()
    def answers(self, committed: Sequence[int], lines: Sequence[Line]) -> torch.Tensor:
        """Return [lines, vocab] float32 logits on the host; nan where there is no answer."""
        text = torch.tensor([list(committed)], device=self.head.fc.weight.device)
        states = self.head.fuse(self._features(text))[:-1]  # [rows, width], row i beside token i+1
        after = self._answer_text(text, states)
        found = {(row + 2, 0): answer for row, answer in enumerate(after)}
        if self.kept is self.head:
            found |= self._answer_drafts(text, states, after, _deepest_levels(lines))
        logits = self.head.logits(torch.stack([found.get(line, after[0]) for line in lines])).cpu()
        logits[[line not in found for line in lines]] = torch.nan
        return logits

    def _features(self, text: torch.Tensor) -> torch.Tensor:
        """Return [n, reads] the target's states over [1, n] tokens."""
        with catching_states(self.taps) as states:
            self.target(text, use_cache=False, logits_to_keep=1)
        return torch.cat([each for each in states if each is not None], -1)[0]

    def _answer_text(self, text: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Return [rows, width] the answers after each token but the first."""
        rows = torch.arange(states.shape[0], device=text.device)
        mask = None if self.kept is not self.head else self._mask(rows <= rows[:, None])
        answers: torch.Tensor = self.kept(
            text[:, 1:], hidden=states[None], positions=rows[None], mask=mask
        )
        return answers[0]

    def _answer_drafts(
        self, text: torch.Tensor, states: torch.Tensor, after: torch.Tensor, depths: dict[int, int]
    ) -> dict[Line, torch.Tensor]:
        """Return the answers after each round's own drafts; `depths` maps a start to a number.

        `after` are the text's own answers. The drafts' rows follow the text's, level by level.
        """
        found: dict[Line, torch.Tensor] = {}
        rows = torch.arange(states.shape[0], device=text.device)
        tokens, hidden = text[0, 1:], states
        positions, starts = rows, torch.full_like(rows, -1)  # of a draft, where its round began
        for level in range(1, max(depths.values(), default=0) + 1):
            going = [start for start, depth in depths.items() if depth >= level]
            fed = torch.tensor(going, device=text.device)
            before = [
                after[start - 2] if level == 1 else found[start, level - 1] for start in going
            ]
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
    """Return [rows, rows] bool: a row sees the text before it, and its own round's drafts.

    A draft of a round that began after `starts` tokens sees the first `starts` - 1 rows.
    """
    before = positions <= positions[:, None]
    own = starts == starts[:, None]
    known = (starts < 0) & (positions < starts[:, None] - 1)
    return before & (own | known)


def _deepest_levels(lines: Iterable[Line]) -> dict[int, int]:
    """Return the most drafts asked for in each round that began after two tokens or more."""
    depths: dict[int, int] = {}
    for start, level in lines:
        if start > 1:
            depths[start] = max(depths.get(start, 0), level)
    return depths

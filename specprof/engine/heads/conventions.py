"""Find the convention a head was trained with, by its agreement with the target on known text.

The run's own head reads the text beside the target's own features. At each place its first choice
is compared with the target's; no draft is fed back. Then the head reads the text again, each time
with one convention of the feeding changed from what the run does. A head that the run feeds
correctly agrees best as run. A head that is fed wrongly agrees best with the change that undoes
the mistake.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from specprof.engine.decoder import PREFILL_CHUNK, CausalModel
from specprof.engine.features import Features, Taps
from specprof.engine.heads.decoder import HeadDecoder
from specprof.engine.heads.head import Head
from specprof.engine.heads.taps import find_taps
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.stores.dense import Store
from specprof.engine.transfer import on_device
from specprof.records import Scan

AS_RUN = "as run"
Change = Callable[[], AbstractContextManager[None]]


def scans(run: Run) -> Iterator[Scan]:
    """Read the text once with each convention; count every place but the text's first."""
    target = cast("CausalModel", run.loop.target)
    draft = cast("HeadDecoder", run.loop.drafter.draft)
    run.roll_back_to(1)
    wanted = _first_choices(target, run.tokens)[1:]
    changes = {AS_RUN: _change_nothing} | conventions(run, draft)
    for name, change in changes.items():
        draft.rollback(0)
        with change():
            found = _draft_choices(run, draft)
        agreed = int((found == wanted).sum())
        yield Scan(convention=name, agreed=agreed, n=len(run.tokens) - 1)
    draft.rollback(0)


def conventions(run: Run, draft: HeadDecoder) -> dict[str, Change]:
    """Return the changes that can be made to this head's feeding, by name."""
    head, target = draft.head, draft.target
    features = target.features
    assert features is not None  # noqa: S101 - the drafter `eagle` gave the target its own

    def shift_features(by: int) -> Change:
        def rows(start: int, end: int) -> torch.Tensor:
            return _shift_rows(features, start, end, by)

        return lambda: swapped(target, features=_Rows(rows))

    found: dict[str, Change] = {
        "features a token earlier": shift_features(-1),
        "features a token later": shift_features(1),
        "embedding and features swapped": lambda: _swap_inputs(head),
        "logits with the residual": lambda: _read_last_state(head, residual=True),
        "logits without the residual": lambda: _read_last_state(head, residual=False),
    }
    if head.form.third:
        found["layers in reverse order"] = lambda: _reverse_layers(head)
    for name, places in _other_taps(run, head).items():
        found[name] = _change_taps(run, target, places)
    return found


class _Rows:
    """Stands in for a target's features: other rows of the same features."""

    def __init__(self, rows: Callable[[int, int], torch.Tensor]) -> None:
        self.rows = rows


def _shift_rows(features: Features, start: int, end: int, by: int) -> torch.Tensor:
    """Return [end - start, width] the rows `by` places later.

    Places before the first take the first row.
    """
    first = max(start + by, 0)
    rows = features.rows(first, max(end + by, first + 1))
    return torch.cat([rows[:1].expand(end - start - rows.shape[0], -1), rows])


@contextmanager
def _change_nothing() -> Iterator[None]:
    yield


def _first_choices(decoder: CausalModel, tokens: Sequence[int]) -> torch.Tensor:
    """Feed [n] known tokens; return [n] the first choice after each."""
    found = [
        decoder.feed(on_device(tokens[start : start + PREFILL_CHUNK], decoder.device)).argmax(-1)
        for start in range(0, len(tokens), PREFILL_CHUNK)
    ]
    return torch.cat(found)


def _draft_choices(run: Run, draft: HeadDecoder) -> torch.Tensor:
    """Let the run's drafter prefill the [n] known tokens; return [n - 1] first choices after them.

    The first token has none. The prefill is that of a run, which drops the answers.
    """
    chain, found = draft._chain, list[torch.Tensor]()  # noqa: SLF001 - prefill drops the answers

    def feed_and_keep(tokens: torch.Tensor) -> torch.Tensor:
        answers = chain(tokens)
        found.append(draft.head.logits(answers)[:, : draft.target.vocabulary].argmax(-1))
        return answers

    with swapped(draft, _chain=feed_and_keep):
        run.loop.drafter.prefill([*run.tokens, run.tokens[-1]])
    return torch.cat(found)


@contextmanager
def _swap_inputs(head: Head) -> Iterator[None]:
    """Give the head its embedding where it expects features, and the reverse."""
    width = head.config.hidden_size
    if head.form.third:
        attention: Any = head.layers[0].self_attn
        readers: list[nn.Module] = [attention.q_proj, attention.k_proj, attention.v_proj]
    else:
        readers = [head.fc]

    def swap(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        joined, *rest = given
        return (torch.cat([joined[..., width:], joined[..., :width]], -1), *rest)

    with ExitStack() as undo:
        for each in readers:
            undo.callback(each.register_forward_pre_hook(swap).remove)
        yield


@contextmanager
def _reverse_layers(head: Head) -> Iterator[None]:
    """Give EAGLE-3 its layers' states from the last to the first."""
    count = len(head.form.taps)

    def reverse(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (torch.cat(given[0].chunk(count, -1)[::-1], -1), *given[1:])

    hook = head.fc.register_forward_pre_hook(reverse)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _read_last_state(head: Head, *, residual: bool) -> Iterator[None]:
    """Compute the logits from the last layer's residual stream, or from its last addition alone."""
    layer: Any = head.layers[-1]
    caught: dict[str, torch.Tensor] = {}

    def stream(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        caught["stream"] = given[0]

    def added(_: nn.Module, __: object, out: torch.Tensor) -> None:
        caught["added"] = out

    before = head.logits

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        state = caught["added"] + caught["stream"] if residual else caught["added"]
        return before(state[0, : hidden.shape[0]].to(hidden.dtype))

    with ExitStack() as undo:
        norm, last = layer.post_attention_layernorm, layer.mlp
        undo.callback(norm.register_forward_pre_hook(stream).remove)
        undo.callback(last.register_forward_hook(added).remove)
        undo.enter_context(swapped(head, logits=logits))
        yield


def _other_taps(run: Run, head: Head) -> dict[str, Taps]:
    """Return other places of the target to take features from, by name."""
    model, form, layers = run.target.model, head.form, run.target.facts.layers
    configured = find_taps(model, form)
    if not form.third:
        ((norm, _),) = configured
        return {
            "features before the final norm": [(norm, True)],
            "features after the final norm": [(norm, False)],
        }
    found = {"layers as configured": configured}
    for name, by in (("a layer earlier", -1), ("a layer later", 1)):
        others = tuple(each + by for each in form.taps)
        if min(others) >= 0 and max(others) <= layers:
            found[f"features {name}"] = find_taps(model, replace(form, taps=others))
    return found


def _change_taps(run: Run, target: CausalModel, places: Taps) -> Change:
    """Return the change to features of other `places`; they are computed when it is used."""

    @contextmanager
    def change() -> Iterator[None]:
        store = Store(run.target.facts.layers, len(run.tokens))
        read = CausalModel(target.model, store, target.device)
        read.features = Features(places, len(run.tokens) + 1)
        read.prefill(run.tokens)
        with swapped(target, features=read.features):
            yield
        read.features = None

    return change

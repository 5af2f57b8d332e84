"""Whether a model's short forwards are replayed from CUDA graphs, and if not, why."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch

from specprof.engine.cache import Store
from specprof.engine.decoder import CausalModel, Decoder, Runs
from specprof.engine.flat.proof import unlike
from specprof.engine.replay import Recorder, ReplayedModel, Work
from specprof.errors import UsageError
from specprof.settings import Settings

PROVEN = ((0, 8), (8, 1), (9, 3), (9, 1), (10, 3), (8, 3))
"""Forwards of the proof: where each begins, and how many tokens it is fed. After the first, which
nothing is recorded of, each width is recorded once and replayed elsewhere and for other tokens."""
_refusals: "WeakKeyDictionary[torch.nn.Module, dict[str, str | None]]" = WeakKeyDictionary()
"""By model and path, why its forwards can't be replayed; None: they can."""


class CudaGraphs:
    """Records on a CUDA device; all recordings of one share their scratch memory.

    They may: one is replayed at a time, and what it found is copied before the next one is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Work) -> tuple[Callable[[], object], torch.Tensor]:
        """Return what does the work again, and the tensor that holds its result each time.

        Work is done twice before it counts, off the current stream: libraries choose kernels and
        make workspaces, which can't be recorded.
        """
        with torch.cuda.device(self.device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                work()
                work()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Only this thread's calls can spoil it: another one reads the driver's counters.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                found = work()
        return graph.replay, found


_recorders: dict[torch.device, Recorder] = {}


def recorder(device: torch.device) -> Recorder | None:
    """Return what records forwards on a device; None where nothing does."""
    if device.type == "cuda" and device not in _recorders:
        _recorders[device] = CudaGraphs(device)
    return _recorders.get(device)


def opened(
    model: torch.nn.Module,
    store: Store,
    device: torch.device,
    vocabulary: int,
    *,
    runs: Runs,
    settings: Settings,
) -> CausalModel:
    """Return a decoder of `model` over `store` that replays its short forwards where it can.

    Raises UsageError where `graphs` is on and they can't be.
    """
    records = recorder(device)
    reason = refusal(model, store, records, runs=runs, settings=settings)
    if records and not reason:
        return ReplayedModel(model, store, device, vocabulary, runs=runs, recorder=records)
    found = CausalModel(model, store, device, vocabulary, runs=runs)
    found.unreplayed = reason
    return found


def refusal(
    model: torch.nn.Module,
    store: Store,
    records: Recorder | None,
    *,
    runs: Runs,
    settings: Settings,
) -> str | None:
    """Return why forwards over `store` are not replayed; None: they can be, and are to be.

    Raises UsageError where `graphs` is on and they can't be.
    """
    if settings.graphs == "off":
        return "they were turned off"
    reason = _hindrance(store, records, settings)
    if reason is None and records is not None:
        known = _refusals.setdefault(model, {})
        path = "modules" if runs is model else "flat"
        if path not in known:
            known[path] = _tried(model, runs, records)
        reason = known[path]
    if reason and settings.graphs == "on":
        raise UsageError(f"graphs were asked for: {reason}", "use --set graphs=auto")
    return reason


def _hindrance(store: Store, records: Recorder | None, settings: Settings) -> str | None:
    """Return what keeps any model's forwards from being replayed in such a run."""
    if records is None:
        return "only CUDA devices record them"
    if settings.batch > 1:
        return "a batch's forwards are padded anew each time"
    if type(store) is not Store:
        return "its cache moves rows, or holds them in another form"
    if settings.detail == "module":
        return "a replay has no modules whose time could be told"
    return None


def replays(decoder: Decoder | None) -> tuple[bool | None, str | None]:
    """Return whether a decoder's short forwards are replayed, and why not; None: it has none."""
    if not isinstance(decoder, CausalModel):
        return None, None
    heard = "its hidden states are read" if decoder.features else None
    reason = decoder.unreplayed or heard
    return reason is None, reason


def _tried(model: torch.nn.Module, runs: Runs, records: Recorder) -> str | None:
    """Record and replay a few forwards; return what went wrong, or how far their logits are off."""
    try:
        ours = _logits(model, runs, records)
    except RuntimeError as trouble:  # what can't be recorded ends a capture with one
        return f"recording failed: {str(trouble).strip().partition(chr(10))[0]}"
    found = unlike(ours, _logits(model, runs, None), next(model.parameters()).dtype)
    return f"replayed logits differ by {found}" if found else None


def _logits(model: torch.nn.Module, runs: Runs, records: Recorder | None) -> torch.Tensor:
    """Return [tokens, vocab] the logits of the proof's forwards, replayed where `records` is."""
    config = model.config.get_text_config()  # type: ignore[operator,union-attr]
    store = Store(config.num_hidden_layers, 1 + max(start + count for start, count in PROVEN))
    device = next(model.parameters()).device
    if records is None:
        decoder = CausalModel(model, store, device, runs=runs)
    else:
        decoder = ReplayedModel(model, store, device, runs=runs, recorder=records)
    found: list[torch.Tensor] = []
    for start, count in PROVEN:
        decoder.rollback(start)
        tokens = torch.arange(count, device=device) * 31 + 7 * len(found) + 1
        found.append(decoder.feed(tokens % config.vocab_size))
    return torch.cat(found)

"""Engines over the test's own decoders, wired as a run wires them."""

from types import SimpleNamespace

import torch

from specprof import registry
from specprof.engine.instruments.stopwatch import HostClock, Stopwatch
from specprof.engine.loop import Loop, PlayedRound
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Acceptance, Depth, Drafter, Parts
from specprof.plan import acceptance_in_force
from specprof.settings import Settings


def parts(target, draft=None, **given) -> Parts:
    """Return the parts of a run whose drafter gets the decoder `draft` unchanged."""
    settings = Settings(**given)
    return Parts(
        settings=settings,
        law=ProcessedLaw(settings.temperature, settings.top_k, settings.top_p),
        policy=registry.get(Depth, settings.depth_policy)(settings),
        generator=torch.Generator().manual_seed(settings.seed),
        watch=Stopwatch(HostClock()),
        target=target,
        draft=None if draft is None else SimpleNamespace(model=draft),
        decoder=lambda module: module,
        store=lambda module: module.store,
        capacity=10_000,
    )


def loop(target, draft=None, drafter=None, **given) -> Loop:
    """Return an engine over decoders; `drafter` may be the test's own class."""
    given.setdefault("drafter", "none" if draft is None else "draft-model")
    made = parts(target, draft, **given)
    kind = drafter or registry.get(Drafter, made.settings.drafter)
    rule = registry.get(Acceptance, acceptance_in_force(made.settings))
    return Loop(parts=made, drafter=kind(made), acceptance=rule())


def decode(run: Loop, *, new_tokens, stop=frozenset(), prompt=(1, 2)):
    """Decode after `prompt`; return all tokens and the played rounds."""
    committed = list(prompt)
    run.target.prefill(committed[run.target.length : -1])
    run.drafter.prefill(committed)
    played: list[PlayedRound] = list(run.rounds(committed, new_tokens=new_tokens, stop=stop))
    return committed, played


def played(proposal, target_logits, *, path, final, lap, parents=None, **given) -> PlayedRound:
    """Return a made-up played round, to test what reads it."""
    drafted = proposal.tokens.tolist()
    facts = {
        "context": 9,
        "depth_asked": len(drafted),
        "target_forwards": 1,
        "draft_forwards": len(drafted),
        "target_length": 9,
        "draft_length": 9,
        "target_kv_bytes": 0,
        "draft_kv_bytes": 0,
        "target_evicted": None,
        "draft_evicted": None,
        "emitted": [*(drafted[node] for node in path), final],
    }
    return PlayedRound(
        proposal=proposal,
        target_logits=target_logits,
        drafted=drafted,
        parents=list(range(-1, len(drafted) - 1)) if parents is None else parents,
        path=list(path),
        lap=lap,
        **(facts | given),
    )

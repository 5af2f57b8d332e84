"""`specprof.record` itself: checks what is asked, and opens the capture."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from specprof import limits, registry
from specprof.capture_writer import CaptureWriter
from specprof.engine.recheck.recheck import Processor
from specprof.engine.sampling import ProcessedLaw
from specprof.errors import UsageError
from specprof.recording.checks import read_ids
from specprof.recording.log import Log
from specprof.recording.models import Model, Models, name_models
from specprof.settings import Settings


def record(
    path: str | Path,
    *,
    target: Model,
    draft: Model | None = None,
    engine: str = "",
    stop: Collection[int] = (),
    max_new_tokens: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    draft_temperature: float | None = None,
    draft_top_k: int | None = None,
    draft_top_p: float | None = None,
    processor: Processor | None = None,
    draft_processor: Processor | None = None,
    **settings: Any,  # noqa: ANN401 - Settings checks each field
) -> Log:
    """Open a capture for your own loop. Closing it writes how the run ended.

    `target` and `draft` are named in the header. Every burst is rechecked, unless the target is a
    mere name. `engine` is the name of your loop, `stop` the token ids that end a text,
    `max_new_tokens` the longest burst (0: not known), `device` the device that runs the spans.
    `draft_temperature`, `draft_top_k` and `draft_top_p` are those by which the draft draws, if they
    are not the target's; at 0 it takes its first choice.
    `processor` takes the ids before a row and the row [vocab], and returns what the loop decides by
    before it divides by the temperature; the recheck applies it to recomputed rows.
    `draft_processor` does so to the draft's.
    `settings` are fields of `Settings`: `temperature`, `top_k`, `top_p`, `acceptance`, `depth`,
    `drafter`, `cache`, `window`, `detail`, `recheck_context` ...; and `batch`, the most rounds that
    share a step.

    Raises UsageError if a setting is unknown or wrong, or if `path` exists and `overwrite` is not
    set.
    """
    chosen = _choose(target, draft, {"device": device} | settings)
    limits.check_values({"max_new_tokens": max_new_tokens})
    _require_callable(processor=processor, draft_processor=draft_processor)
    draft_law = _draft_law(chosen, draft_temperature, draft_top_k, draft_top_p)
    limit = {"backend": limits.RECORDED_BACKEND, "max_new_tokens": max_new_tokens}
    ends = frozenset(read_ids(stop, "stop"))
    writer = CaptureWriter(Path(path), overwrite=overwrite)
    try:
        return Log(
            writer,
            msgspec.structs.replace(chosen, **limit),
            Models(target, draft, processor, draft_processor),
            draft_law=draft_law,
            engine=engine or Path(sys.argv[0] or "interactive").name,
            stop=ends,
        )
    except BaseException:  # nothing is recorded yet: leave no file in the way of the next try
        with writer:
            writer.forget()
        raise


def _draft_law(
    settings: Settings, temperature: float | None, top_k: int | None, top_p: float | None
) -> ProcessedLaw:
    """Return the law that the draft declares: the target's, but for what is given.

    Raises UsageError for a number that no run may have.
    """
    own = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    given = {name: value for name, value in own.items() if value is not None}
    try:
        limits.check_values(given)
    except UsageError as trouble:
        raise UsageError(f"draft_{trouble.title}", trouble.hint) from None
    law = {name: getattr(settings, name) for name in own} | given
    return ProcessedLaw(**law)


def _choose(target: Model, draft: Model | None, given: dict[str, Any]) -> Settings:
    """Return the checked settings; raise UsageError for one that is unknown or wrong."""
    names = name_models(target, draft)
    drafter = {"drafter": "draft-model" if draft is not None else "ngram"}
    try:
        chosen = Settings(target=names[0], draft=names[1], workload="generate", **(drafter | given))
    except TypeError as trouble:
        known = ", ".join(Settings.__struct_fields__)
        raise UsageError(f"specprof.record: {trouble}", f"settings are {known}") from trouble
    limits.check_values({"batch": chosen.batch})
    own = chosen.drafter not in registry.members("drafter")
    alone = msgspec.structs.replace(chosen, batch=1)  # the engine's limits of a batch bind no other
    limits.check(msgspec.structs.replace(alone, drafter="ngram") if own else alone)
    return chosen


def _require_callable(**given: object) -> None:
    for name, each in given.items():
        if each is not None and not callable(each):
            title = f"{name} is a {type(each).__name__}, which is no function"
            raise UsageError(title, "pass a function of token ids and a row of logits")

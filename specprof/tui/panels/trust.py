"""The lines above all panels: what runs, its progress, its rates, and how reliable they are."""

from rich.cells import cell_len

from specprof.plain import format_count
from specprof.records import Header
from specprof.tui.figures import clock, count, percent, rate, ratio
from specprof.tui.sheet import Ink, Sheet, safe
from specprof.tui.snapshot import Lost, Snapshot, State

_STATES: dict[State, tuple[str, Ink]] = {
    "waiting": ("◐ waiting for the first line", "warn"),
    "reading": ("◐ reading the file", "good"),
    "recording": ("● recording", "good"),
    "silent": ("◐ recording, silent", "warn"),
    "unseen": ("◐ INCOMPLETE, silent", "warn"),
    "complete": ("✓ RUN COMPLETE", "good"),
    "interrupted": ("◐ interrupted, kept", "warn"),
    "failed": ("× FAILED", "bad"),
    "INCOMPLETE": ("× INCOMPLETE", "bad"),
}
_LOST: dict[Lost, tuple[str, str]] = {
    "deleted": ("file gone", "deleted or moved; the rounds read so far are shown"),
    "replaced": ("file replaced", "by another file; the rounds read so far are shown"),
    "overwritten": ("file overwritten", "by another run; open the file again to see it"),
}
Item = tuple[str, str, Ink]
"""A value, its name with its denominator, the value's ink."""


def draw_trust(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the state and the progress of the run; in the rows below, the rates that fit."""
    state, ink = _STATES[snapshot.state]
    if snapshot.lost:
        state, ink = f"× {snapshot.lost.upper()}", "bad"
    x = sheet.write(0, 0, f"{snapshot.playing}  " if snapshot.playing else "", "mark")
    x = sheet.write(x, 0, state, ink)
    sheet.write(x + 2, 0, _describe_run(snapshot.columns.header), "strong")
    progress = f"  {_describe_progress(snapshot)}"
    damaged = f"  {format_count(snapshot.damaged, 'damaged line')}" if snapshot.damaged else ""
    sheet.write_right(sheet.width - cell_len(damaged), 0, progress, "plain")
    sheet.write_right(sheet.width, 0, damaged, "bad")
    items = _doubt_items(snapshot) + _result_items(snapshot) + _trust_items(snapshot)
    for row in range(1, sheet.height):
        items = _write_row(sheet, row, items)


def _describe_progress(snapshot: Snapshot) -> str:
    of = f" of {count(snapshot.recorded)}" if snapshot.rounds != snapshot.recorded else ""
    done = f"{count(snapshot.rounds)}{of} rounds"
    if scored := len(snapshot.columns.scored):
        done = f"{count(scored)} tokens scored"
    return f"{done}  {clock(snapshot.shown_ns)}"


def _describe_run(header: Header | None) -> str:
    if header is None:
        return ""
    settings = header.spec.settings
    target = header.target.name if header.target else settings.target
    if settings.workload == "ppl":
        return safe(f"{target} scores known text, {settings.cache} cache, {header.device}")
    draft = header.draft.name if header.draft else settings.draft
    drafts = f"{draft} drafts {settings.depth} for " if draft and settings.depth else ""
    return safe(f"{drafts}{target}, {header.acceptance}, {header.device}")


def _result_items(snapshot: Snapshot) -> list[Item]:
    table, passes = snapshot.columns.rounds, snapshot.columns.passes
    if len(passes):
        ms_per_token = passes.wall_ns.sum() / max(passes.scored.sum(), 1) / 1e6
        return [
            (ratio(snapshot.perplexity), "perplexity", "strong"),
            (ratio(ms_per_token), "ms/scored token", "strong"),
        ]
    ms_per_token = table.wall_ns.sum() / table.emitted.sum() / 1e6 if table.emitted.any() else None
    return [
        (ratio(snapshot.tau), "tau emitted/round", "strong"),
        (rate(snapshot.alpha_cond), f"alpha_cond accepted/{snapshot.reached}", "strong"),
        (ratio(ms_per_token), "ms/emitted", "strong"),
        (rate(snapshot.accept_frac), "accept_frac accepted/drafted", "strong"),
    ]


def _trust_items(snapshot: Snapshot) -> list[Item]:
    header = snapshot.columns.header
    damaged = "damaged line" if snapshot.damaged == 1 else "damaged lines"
    items: list[Item] = [
        (safe(header.clock.kind) if header else "–", "clock", "plain"),
        (count(snapshot.damaged), damaged, "bad" if snapshot.damaged else "plain"),
        (percent(snapshot.recorder_share), "profiler/wall", "plain"),
        (percent(snapshot.viewer_share), "viewer/core", "plain"),
    ]
    if ways := _forward_paths(header):
        items.append((ways, "forwards", "plain"))
    return items


def _doubt_items(snapshot: Snapshot) -> list[Item]:
    """Return what happened to a lost file; for a silent one, since when and for what reason."""
    items: list[Item] = []
    if snapshot.lost:
        items.append((*_LOST[snapshot.lost], "bad"))
    last = "the last line is torn" if snapshot.torn else "no closing line"
    why = {
        "silent": "its recorder is alive",
        "unseen": f"{last}, no recorder found",
        "INCOMPLETE": last,
    }
    if snapshot.state in why:
        silent = clock(None if snapshot.silent_s is None else snapshot.silent_s * 1e9)
        ink: Ink = "bad" if snapshot.state == "INCOMPLETE" else "warn"
        items.append((silent, f"since the file last grew, {why[snapshot.state]}", ink))
    return items


def _forward_paths(header: Header | None) -> str:
    """Return how forwards were computed, the target's first; empty where a peer computed them."""
    models = (header.target, header.draft) if header else ()
    ways = (each.forwards for each in models if each and each.forwards)
    return safe(", ".join(dict.fromkeys(ways)))


def _write_row(sheet: Sheet, row: int, items: list[Item]) -> list[Item]:
    """Write the items that fit into a row; return the other items."""
    x = 0
    for position, (value, name, ink) in enumerate(items):
        width = cell_len(value) + 1 + len(name)
        if x and x + width > sheet.width:
            return items[position:]
        sheet.write(x, row, value, ink)
        sheet.write(x + cell_len(value) + 1, row, name, "dim")
        x += width + 3
    return []

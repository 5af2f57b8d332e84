"""Engines over tables of probabilities, broken by a fault of the registry."""

from contextlib import contextmanager
from types import SimpleNamespace

import torch

from drilled import load_fault
from engines import decode, loop
from tables import TableDecoder


@contextmanager
def wire_tables(name, target, draft, *, stop=frozenset(), text=(), **given):
    """Wire two [vocab, vocab] tables of probabilities, and break the run inside the block."""
    given = {"temperature": 1.0, "depth": 2} | given
    made = loop(table(target), table(draft), **given)
    lane = SimpleNamespace(loop=made)
    facts = SimpleNamespace(layers=2)
    run = SimpleNamespace(
        lanes=[lane], loop=made, settings=made.parts.settings, tokens=list(text), stop=stop
    )
    run.draft = SimpleNamespace(facts=facts)
    if name is None:
        yield run
    else:
        with load_fault(name)().inject(run):
            yield run


def play_tables(name, target, draft, *, new_tokens=400, **given):
    """Decode from tokens 0, 0; return all tokens and the played rounds."""
    with wire_tables(name, target, draft, **given) as run:
        return decode(run.loop, new_tokens=new_tokens, stop=run.stop, prompt=(0, 0))


def table(rows):
    """Return a decoder whose answer after token i is row i."""
    return TableDecoder(torch.as_tensor(rows, dtype=torch.float64).log().float())


def repeat_row(row):
    """Return the table with the same answer after every token."""
    return [row] * len(row)


def list_corrections(rounds):
    """Return (rejected, correction) of every round with a rejection that wasn't cut."""
    return [
        (one.drafted[one.accepted], one.emitted[-1])
        for one in rounds
        if one.accepted < len(one.drafted) and len(one.emitted) > one.accepted
    ]

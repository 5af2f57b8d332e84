"""Columns are packed on the device and read as rows on the host, by the same names."""

import pytest
import torch

from specprof.engine.observe.layout import FinalNumbers, PlaceNumbers, pack_columns, unpack_rows


def columns(kind, first, lengths, *, without=()):
    """Columns of distinct numbers: each in pieces of `lengths`."""
    numbers = torch.arange(first, first + 10 * sum(lengths), dtype=torch.float32)
    parts = numbers.split(sum(lengths))
    return kind(
        *(
            None if name in without else list(part.split(lengths))
            for name, part in zip(kind._fields, parts, strict=False)
        )
    )


@pytest.mark.parametrize("without", [(), ("owed",)])
def test_every_number_comes_back_under_the_name_it_was_packed_by(without):
    """Five places in two pieces, three final tokens in one; with and without what is owed."""
    places = columns(PlaceNumbers, 0, [2, 3], without=without)
    finals = columns(FinalNumbers, 1000, [3])
    found = unpack_rows(pack_columns(places, finals).tolist(), 5, 3)
    for packed, found_rows, count in ((places, found[0], 5), (finals, found[1], 3)):
        rows = list(found_rows)
        assert len(rows) == count
        for name in packed._fields:
            pieces, read = getattr(packed, name), [getattr(row, name) for row in rows]
            assert read == (torch.cat(pieces).tolist() if pieces else [None] * count)


def test_numbers_that_are_no_whole_rows_are_refused():
    """One number is missing: nothing is read by a layout it does not have."""
    packed = pack_columns(columns(PlaceNumbers, 0, [5]), columns(FinalNumbers, 1000, [3]))
    with pytest.raises(ValueError, match="zip"):
        list(unpack_rows(packed[1:].tolist(), 5, 3)[0])

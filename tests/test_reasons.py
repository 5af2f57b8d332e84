"""Why a file's content can't be decoded: the field, the found value, and the allowed values."""

import msgspec
import pytest

from specprof.reasons import MAX_SHOWN_CHARS, field_of, reason_of
from specprof.records import Event
from specprof.settings import Profile

DECODER = msgspec.json.Decoder(Event)
ROUND = b'{"event":"round","index":0,"burst":0,'


def reason(line):
    """Return why a line is no event."""
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as raised:
        DECODER.decode(line)
    return reason_of(raised.value, line, Event)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"3", "it is 3; it must be a table of fields"),
        (
            b'{"event":"header","spec":{"settings":{"a`b":1}}}',
            "the field `a`b` is not known in `spec.settings`",
        ),
        (b"{}", "the field `event` is missing"),
        (b'{"event":"end","status":"x"}', '`status` is "x"; it must be one of complete, failed'),
        (b'{"event":"round"}', "the field `index` is missing"),
        (b'{"event":"foo"}', '`event` is "foo"; it must be one of header, prefill, round'),
        (b'{"event":"end","sta', "it is no JSON: it ends in the middle"),
        (b'{"a":\xff}', "it is no JSON: invalid character (byte 5)"),
        (b'{"event":"end","status":"\xff"}', "it is no UTF-8"),
        (ROUND + b'"drafted":[[1,2,3]]}', "`drafted[0].reached` is 3; it must be true or false"),
        (ROUND + b'"drafted":[[1]]}', "`drafted[0]` has 1 entry; it must be a list of at least"),
        (ROUND + b'"emitted":[1,"a"]}', '`emitted[1]` is "a"; it must be a whole number from'),
        (ROUND + b'"final_target_prob":1e999}', "`final_target_prob` is 1e999; it must be a num"),
    ],
)
def test_a_line_that_is_no_event_is_told_in_plain_english(line, told):
    """The field is named, in lists too, without msgspec's own words."""
    assert told in reason(line)
    assert "Expected" not in reason(line)
    assert "$" not in reason(line)


def test_what_was_found_is_shortened_and_escaped():
    """A stranger's value is shown, but neither steers a terminal nor fills it."""
    written = {"name": "x", "run": {"depth": "\x1b[31m" + 10**6 * "y"}}
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(written, Profile)
    told = reason_of(raised.value, written, Profile)
    assert told.startswith("`run.depth` is ")
    assert told.isprintable()
    assert "…" in told
    assert len(told) < 3 * MAX_SHOWN_CHARS
    assert field_of(raised.value) == "depth"


def test_a_wrong_value_of_a_table_of_any_keys_is_told_by_the_table():
    """The decoder does not report the key."""
    written = {"name": "x", "sweep": {"depth": [1, [2]]}}
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(written, Profile)
    assert reason_of(raised.value, written, Profile).startswith("a value in `sweep` is wrong; ")

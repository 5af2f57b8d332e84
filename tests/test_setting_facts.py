"""All facts in a field's annotation are read back."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from specprof.setting_facts import (
    SettingFacts,
    facts_of,
    meaning,
    member,
    number,
    option,
    zero_or_from,
)
from specprof.settings import Settings, known_settings

Some = Annotated[int, Meta(ge=2, le=9)]


class Asked(msgspec.Struct):
    """A struct with a field of each kind."""

    plain: int = 1
    few: Annotated[Some | None, meaning("Few.")] = None
    word: Annotated[Literal["b", "a"], option("A or b.", flags="--word/--no-word")] = "a"
    named: Annotated[str, member("cache", besides="auto")] = "auto"
    warm: Annotated[float, Meta(gt=0, le=1), zero_or_from(0.5)] = 1.0
    on: Annotated[bool, option("Whether.")] = False


def test_all_that_a_field_says_is_read():
    """The facts are type, bounds, words in their order, meaning, option, member and default."""
    said = facts_of(Asked)
    assert list(said) == ["plain", "few", "word", "named", "warm", "on"]
    assert said["plain"] == SettingFacts(name="plain", kind=int, default=1)
    few = SettingFacts(name="few", kind=int, default=None, optional=True, least=2, meaning="Few.")
    assert said["few"] == few
    assert (said["word"].kind, said["word"].words) == (str, ("b", "a"))
    assert (said["word"].option, said["word"].flags) == ("A or b.", "--word/--no-word")
    assert (said["named"].member, said["named"].besides) == ("cache", "auto")
    assert (said["warm"].kind, said["warm"].least, said["warm"].zero_or_from) == (float, None, 0.5)
    assert said["on"].kind is bool


def test_every_setting_says_what_it_means():
    """Every meaning is a sentence, and no setting lacks one."""
    assert list(known_settings()) == list(Settings.__struct_fields__)
    assert [name for name, said in known_settings().items() if not said.meaning.strip()] == []
    assert [name for name, said in known_settings().items() if said.meaning[-1] != "."] == []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "6", 6),
        (int, "+6", 6),
        (int, "-06", -6),
        (int, "2e4", 20_000),
        (int, "9007199254740993", 2**53 + 1),
        (float, "0.7", 0.7),
        (float, ".5", 0.5),
        (float, "5.", 5.0),
        (float, "1E-3", 0.001),
    ],
)
def test_a_number_is_written_in_plain_digits(kind, text, value):
    """As people write one."""
    found = number(kind, text)
    assert (found, type(found)) == (value, kind)


SLIPS = [
    "1_0",
    " 1",
    "1 ",
    "٣",
    "\uff12",
    "",
    "0x10",
    "nan",
    "inf",
    "1e400",
    "1e",
    ".",
    "--1",
    "1,0",
]


@pytest.mark.parametrize("text", SLIPS)
@pytest.mark.parametrize("kind", [int, float])
def test_what_only_python_reads_as_a_number_is_none(kind, text):
    """An underscore, a space, another script's digits; nor is what has no end."""
    with pytest.raises(ValueError, match="is no number"):
        number(kind, text)


@pytest.mark.parametrize("text", ["1.5", "9" * 5000])
def test_a_whole_number_has_no_fraction_and_an_end(text):
    """Python itself gives up at some thousand digits."""
    with pytest.raises(ValueError, match=r"1\.5|4300"):
        number(int, text)

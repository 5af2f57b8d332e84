"""All facts in a field's annotation are read back."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from specprof.setting_facts import (
    SettingFacts,
    facts_of,
    meaning,
    member,
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

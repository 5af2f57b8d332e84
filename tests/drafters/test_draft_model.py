"""A draft model is a model: what can't be one is refused before anything is loaded for it."""

import pytest

from specprof.drafters.draft_model import DraftModel
from specprof.errors import UsageError
from specprof.settings import Settings


@pytest.mark.parametrize(
    ("draft", "hint"), [(None, "--drafter none"), ("pocket/eagle", "--drafter eagle")]
)
def test_what_is_no_draft_model_is_refused(draft, hint):
    """None at all, and a head that needs the target's hidden states."""
    with pytest.raises(UsageError) as raised:
        DraftModel.load(Settings(draft=draft), None)
    assert hint in raised.value.hint

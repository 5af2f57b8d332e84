"""What the family was trained on, and what it was not."""

from specprof.pocket import corpus


def test_held_out_modules_are_in_no_training_text():
    """The document of a default run is unseen: not its file, not its tests."""
    training = set(corpus.training_texts(tests=True))
    folder = corpus.stdlib_folder()
    for name in corpus.HELD_OUT:
        assert corpus.module_text(name) not in training
        tests = folder / "test" / f"test_{name}.py"
        assert not tests.exists() or tests.read_text(encoding="utf-8") not in training


def test_the_held_out_text_is_real_code_of_length():
    """Enough for 20k tokens of about two and a half characters."""
    text = corpus.held_out_text()
    assert len(text) > 300_000
    assert "class ArgumentParser" in text

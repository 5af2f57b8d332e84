"""Tests that warn, each in one way: `test_warnings.py` plays them and looks who failed."""

import logging
import warnings

import numpy as np

import specprof.plain


def at(name, category=FutureWarning):
    """Warn as a module of that name would, in a line of its own."""
    warnings.warn_explicit(f"said in {name}", category, f"{name}.py", 1, module=name)


def test_ours():
    at("specprof.engine.stores.dense", DeprecationWarning)


def test_plugin():
    at("specprof_plugin_exporter_sqlite")


def test_shared():
    at("tiny")


def test_itself():
    warnings.warn("said in a test", UserWarning, stacklevel=1)


def test_pointed_at_us():
    """A library's warning that names whoever called it."""
    body = compile(
        "import warnings\nwarnings.warn('old', FutureWarning, stacklevel=2)", "lib", "exec"
    )
    exec(body, {"__name__": "lib"})  # noqa: S102


def test_number():
    np.float64(1) / np.float64(0)


def test_foreign():
    at("somebody.elses")


def test_foreign_beginning_alike():
    at("runs_elsewhere")


def test_logged():
    """As transformers does: a logger that passes nothing on."""
    said = logging.getLogger("transformers.somewhere")
    said.warning("`past` is deprecated. Use `cache` instead.")


def test_logged_otherwise():
    """No deprecation: nobody's business."""
    logging.getLogger("transformers.somewhere").warning("the model is large")


def test_quiet():
    assert specprof.plain.plain("a") == "a"

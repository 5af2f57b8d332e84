"""What a name of a model means: a member of the family, a folder here, an id of the hub."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from huggingface_hub import constants

from specprof import pocket
from specprof.engine.checkpoints import where
from specprof.engine.checkpoints.survey import survey
from specprof.errors import EnvironmentMissing, UnknownName
from specprof.settings import Settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a model's folder, a file, a loop, and a folder of models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "one").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


def test_a_folder_here_is_meant_before_an_id(here):
    """However it is written."""
    for name in ("models/one", "./models/one", str(here / "models" / "one"), "models"):
        assert where.place_of(name).samefile(here / name)


def test_a_member_of_the_family_is_its_folder():
    """And nothing beside the family can be named through it."""
    assert where.place_of("pocket/target") == pocket.folder("pocket/target")
    for name in ("pocket/tarpet", "pocket/", "pocket/../engine", "pocket//etc", "pocket/\0"):
        with pytest.raises(UnknownName):
            where.place_of(name)


@pytest.mark.parametrize(
    "name",
    [
        *("./nosuch", "../nosuch", "/nosuch/model", "~nosuchuser/model", "~/no-such-model"),
        *("a/b/c", "org/name/", "org//name", "http://localhost/x", "org/na me"),
        *("", " ", "\n", "x" * 300, "x/" * 3000, "org/\u202ename", "org/\udcffname", "a\0b"),
        *("org/..", "-x/y", "org/name.git"),
    ],
)
def test_a_name_that_can_be_no_id_is_refused_without_asking_anybody(here, monkeypatch, name):
    """At once: no hub is asked for it."""
    monkeypatch.setattr(where, "trouble_with_hub", None)
    with pytest.raises(EnvironmentMissing, match="there is no such folder") as raised:
        where.place_of(name)
    assert raised.value.hint


@pytest.mark.parametrize("name", ["file", "loop", "/dev/null", "./file"])
def test_what_is_no_folder_is_told(here, name):
    """A file, a device, a link to itself."""
    with pytest.raises(EnvironmentMissing, match="it is no folder"):
        where.place_of(name)


@pytest.mark.parametrize("name", ["gpt2", "org/name", "Org-1/name_2.5-b", "models/nosuch"])
def test_an_id_is_given_back_as_it_is(here, name):
    """One or two parts of letters the hub knows; a folder may be called like its owner."""
    assert where.place_of(name) == name


@pytest.mark.parametrize("name", ["models/file", "models/lost"])
def test_what_lies_in_the_owner_s_folder_is_no_id(here, monkeypatch, name):
    """Something is there, be it a file or a link to nowhere: that is what was meant."""
    (here / "models" / "file").touch()
    (here / "models" / "lost").symlink_to("nowhere")
    with pytest.raises(EnvironmentMissing, match="it is no folder"):
        where.place_of(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [("models/nosuch", "no such folder in 'models'"), ("org/nosuch", "it is no local folder")],
)
def test_where_no_hub_is_reached_what_is_here_is_said(here, name, said):
    """A slip of the pen in a folder's name is found so."""
    assert said in where.unreached_error(name, "no network").title


def test_a_head_is_asked_for_as_one(here):
    """The kind is in the title, and heads that are here in the hint."""
    with pytest.raises(EnvironmentMissing, match=r"can't load head '\./x'") as raised:
        where.place_of("./x", "head")
    assert "pocket/eagle" in raised.value.hint


def test_offline_the_hub_is_not_asked(monkeypatch):
    """HF_HUB_OFFLINE is the user's word."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert where.trouble_with_hub("org/name") == "HF_HUB_OFFLINE is set"


def test_a_hub_that_is_not_there_is_asked_once(monkeypatch):
    """No retries: a closed port is told in under two seconds, and once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        _at(monkeypatch, taken.getsockname()[1])
        began = time.monotonic()
        assert where.trouble_with_hub("org/name")
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("status", [404, 401, 500, 200])
def test_a_hub_that_answers_is_one_whatever_it_says(monkeypatch, status):
    """What it says of the files is told by whoever fetches them."""
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"id": "org/name"}')

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _at(monkeypatch, server.server_port)
        assert where.trouble_with_hub("org/name") is None
        server.shutdown()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [("RepoNotFound", "no such model, or it is private"), ("GatedRepo", "licence")],
)
def test_what_the_hub_says_of_a_model_is_told(monkeypatch, code, said):
    """In a line, without a retry."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the base class asks for it

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _at(monkeypatch, server.server_port)
        looked = survey("org/name", Settings(), torch.float32)
        with pytest.raises(EnvironmentMissing, match=said):
            looked.config  # noqa: B018 - asking for it reads it
        server.shutdown()


def _at(monkeypatch, port):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", place := f"http://127.0.0.1:{port}")
    files = place + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)

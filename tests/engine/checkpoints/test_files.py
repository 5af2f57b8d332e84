"""A checkpoint's files are held to kinds, sizes and headers before anybody opens them."""

import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from specprof.engine.checkpoints.files import Folder, Misfit, Tensor, read_headers, read_json


@pytest.fixture
def folder(tmp_path):
    """The least that passes: a configuration, and weights."""
    (tmp_path / "config.json").write_text('{"a": 1}')
    parts = {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}
    save_file(parts, tmp_path / "model.safetensors")
    return tmp_path


def test_what_headers_say_is_read_without_the_weights(folder):
    """Names, dtypes, shapes, and so the bytes."""
    found = read_headers(Folder(folder))
    assert found == {"a": Tensor("F32", (2, 3)), "b": Tensor("BF16", (4,))}
    assert {name: each.size for name, each in found.items()} == {"a": 24, "b": 8}


@pytest.mark.parametrize(
    ("dtype", "size"), [("F64", 80), ("I32", 40), ("F8_E4M3", 10), ("BOOL", 10), ("C64", 80)]
)
def test_a_tensor_s_bytes_follow_from_its_dtype(dtype, size):
    """Ten of each."""
    assert Tensor(dtype, (2, 5)).size == size


def test_a_whole_folder_passes(folder):
    """Whatever else lies there, links to nowhere included."""
    (folder / "README.md").symlink_to("nosuch")
    (folder / "original").mkdir()
    (folder / "data.json").touch()
    os.truncate(folder / "data.json", 2**31)
    os.mkfifo(folder / "pipe.json")
    Folder(folder).check()
    Folder(folder).check_weights()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "device", "long"])
def test_what_would_hang_or_fill_memory_is_refused(folder, name, kind):
    """Its kind or length is told, and it is not opened."""
    path = folder / name
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "loop":
            path.symlink_to(name)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.touch()
            os.truncate(path, 2**30)
    with pytest.raises(Misfit, match=name):
        Folder(folder).check()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adapter_config.json", "adapter"),
        ("model.gguf", "GGUF"),
        ("pytorch_model.bin", "pickled"),
        ("model.pt", "pickled"),
        ("other.txt", "neither"),
    ],
)
def test_other_formats_are_named(folder, name, said):
    """So that the user knows what it is that was given."""
    (folder / "model.safetensors").unlink()
    (folder / name).write_text("{}")
    check = Folder(folder).check if name.startswith("adapter") else Folder(folder).check_weights
    with pytest.raises(Misfit, match=said):
        check()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON"),
        (b"[1]", "no JSON object"),
        (b"{", "is no JSON"),
        (b'{"a": "\xff"}', "is no UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "is no JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is no JSON"),
    ],
)
def test_what_is_no_json_object_is_told(tmp_path, content, said):
    """The file is named."""
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(Misfit, match=f"config.json .*{said}|config.json {said}"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize("size", [0, 2, 60, 2**60, 2**64 - 1, 90 * 2**20])
def test_a_header_that_lies_is_no_whole_file(tmp_path, size):
    """No memory is taken by the number that it says."""
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", size) + b"{}")
    if size == 2:  # an empty one is whole
        assert read_headers(Folder(tmp_path)) == {}
        return
    with pytest.raises(Misfit, match="no whole safetensors file"):
        read_headers(Folder(tmp_path))


def test_every_truncation_of_weights_is_told(folder):
    """Not one is read past its end."""
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Misfit):
            read_headers(Folder(folder))


@pytest.mark.parametrize(
    ("shard", "said"),
    [
        ("nosuch.safetensors", "isn't there"),
        ("../other/model.safetensors", "outside the folder"),
        ("/etc/passwd", "outside the folder"),
        ("pytorch_model.bin", "no safetensors"),
        (3, "outside the folder"),
    ],
)
def test_an_index_leads_nowhere_but_to_files_beside_it(folder, shard, said):
    """What it names is named."""
    (folder / "model.safetensors").unlink()
    told = f'{{"weight_map": {{"a": {shard!r}}}}}'.replace("'", '"')
    (folder / "model.safetensors.index.json").write_text(told)
    with pytest.raises(Misfit, match=said):
        read_headers(Folder(folder))


def test_shards_are_read_together(folder):
    """Each once."""
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    told = '{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}'
    (folder / "model.safetensors.index.json").write_text(told)
    assert set(read_headers(Folder(folder))) == {"a", "b"}

"""The disk cache: what is stored comes back whole or not at all, whatever happens to the folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtfunc.compiler.cache import DiskCache, content_key, default_folder


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache")


def entry_files(cache):
    return sorted(path for path in cache.folder.glob("*/*") if path.is_file())


def test_stored_content_comes_back(cache):
    key = content_key("a")
    assert cache.get(key) is None
    cache.put(key, b"\x00code")
    assert cache.get(key) == b"\x00code"
    cache.put(key, b"")
    assert cache.get(key) == b""


def test_keys_tell_part_boundaries_apart():
    keys = {content_key("ab", "c"), content_key("a", "bc"), content_key("abc"), content_key(b"abc")}
    assert len(keys) == 3


def test_get_or_make_makes_once(cache):
    calls = []

    def make():
        calls.append(None)
        return b"made"

    key = content_key("x")
    assert [cache.get_or_make(key, make) for _ in range(3)] == [b"made"] * 3
    assert len(calls) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
        lambda data: b"X" + data[1:],
    ],
)
def test_damaged_entries_count_as_missing_and_are_rebuilt(cache, damage):
    key = content_key("x")
    cache.put(key, b"content")
    (file,) = entry_files(cache)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get(key) is None
    assert entry_files(cache) == []
    assert cache.get_or_make(key, lambda: b"again") == b"again"
    assert cache.get(key) == b"again"


def test_entry_renamed_to_another_key_is_refused(cache):
    first, second = content_key("1"), content_key("2")
    cache.put(first, b"content")
    (file,) = entry_files(cache)
    other = cache.folder / second[:2] / f"{second}{file.suffix}"
    other.parent.mkdir(exist_ok=True)
    os.replace(file, other)
    assert cache.get(second) is None


def test_eviction_removes_what_was_used_longest_ago(tmp_path):
    cache = DiskCache(tmp_path, max_bytes=10_000)
    keys = [content_key(str(index)) for index in range(12)]
    for age, key in enumerate(keys):
        cache.put(key, b"x" * 1000)
        (file,) = tmp_path.glob(f"*/{key}.bin")
        os.utime(file, (1_000_000 + age, 1_000_000 + age))
    assert cache.get(keys[0]) is not None
    cache.evict()
    kept = [key for key in keys if cache.get(key) is not None]
    assert keys[0] in kept
    assert kept[1:] == keys[-len(kept) + 1 :]
    assert sum(file.stat().st_size for file in entry_files(cache)) <= 7500


def test_temporary_files_of_dead_writers_go(tmp_path):
    cache = DiskCache(tmp_path)
    key = content_key("x")
    cache.put(key, b"content")
    old, new = (tmp_path / key[:2] / name for name in (".new-old", ".new-young"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.evict()
    assert not old.exists()
    assert new.exists()
    assert cache.get(key) == b"content"


def test_unusable_folder_is_an_empty_cache(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    cache = DiskCache(file / "cache")
    cache.put(content_key("x"), b"content")
    assert cache.get(content_key("x")) is None


def test_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("RTFUNC_CACHE_DIR", raising=False)
    assert default_folder() == tmp_path / "xdg" / "rtfunc"
    monkeypatch.setenv("RTFUNC_CACHE_DIR", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"
    assert DiskCache().folder == tmp_path / "own"


def test_processes_may_write_the_same_entry_at_once(tmp_path):
    program = """
import sys
from rtfunc.compiler.cache import DiskCache, content_key
cache = DiskCache(sys.argv[1], max_bytes=60_000)
for i in range(150):
    key = content_key(str(i % 10))
    content = cache.get(key)
    assert content is None or content == bytes([i % 10]) * 9000, (i, content[:10])
    cache.put(key, bytes([i % 10]) * 9000)
"""
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=root) for _ in range(2)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]

"""Mutates PyTorch files and checks that each is read or refused, in bounded time and memory.

Run longer with `python -m tests.io.fuzz_torch_reader --seconds 600 --seed 1`.
"""

import argparse
import io
import itertools
import pickletools
import random
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from rtfunc.io import torch_writer
from rtfunc.io.files import FileFormatError
from rtfunc.io.torch_reader import read
from rtfunc.io.zip_archive import ZipWriter

FILES = Path(__file__).with_name("files")
MAX_SECONDS = 2.0
NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62)
GLOBALS = (
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n",
    b"ctorch\nFloatTensor\n",
    b"ctorch\nbool\n",
    b"ctorch\nBoolStorage\n",
    b"ccollections\nOrderedDict\n",
    b"ccollections\nCounter\n",
    b"c__builtin__\nbytearray\n",
    b"cnumpy\ndtype\n",
    b"cargparse\nNamespace\n",
    b"cos\nsystem\n",
)
#: Values of all kinds, to stand where others are expected; h\x08 recalls a tensor of the corpus.
VALUES = (
    *(b"N", b"\x88", b")", b"]", b"}", b"K\x00", b"K\x03", b"J\xff\xff\xff\xff", b"M\x00\x01"),
    *(b"X\x01\x00\x00\x000", b"C\x01a", b"G?\xf0\x00\x00\x00\x00\x00\x00", b"K\x02K\x03\x86"),
    *(b"\x8a\x08" + bytes([255] * 7 + [127]), b"h\x08", b"h\x08h\x08\x86", b"h\x02", b"h\x04"),
    *GLOBALS,
)
OPCODES = [bytes([code]) for code in b'.0(])}tabeusRQN\x81\x85\x86\x87\x88\x8f\x90\x91\x93\x94K"']


def zip_with(pickle: bytes, storages: dict[str, bytes], **records: bytes) -> bytes:
    """A zip file of torch.save with these contents and right checksums."""
    file = io.BytesIO()
    archive = ZipWriter(file)
    archive.write("archive/data.pkl", pickle)
    for name, content in records.items():
        archive.write(f"archive/{name}", content)
    for key, content in storages.items():
        archive.write(f"archive/data/{key}", content)
    archive.finish()
    return file.getvalue()


def legacy_with(pickle: bytes, keys: bytes, storages: bytes) -> bytes:
    """A legacy file with this pickle, the pickle of the keys, and what follows."""
    header = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
    return header + pickle + keys + storages


def written(value: Any) -> bytes:
    file = io.BytesIO()
    torch_writer.write(value, file)
    return file.getvalue()


def pickle_and_storages(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The parts of a small zip file of this package's writer."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("archive/data.pkl"), {
            name.rpartition("/")[2]: archive.read(name)
            for name in archive.namelist()
            if "/data/" in name
        }


def corpus() -> list[bytes]:
    """Valid files of many kinds."""
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    values = {
        "weight": weight,
        "tied": weight.T,
        "flags": np.array([True, False]),
        "half": np.ones(3, ml_dtypes.bfloat16),
        "small": np.ones((), np.uint16),
        "state": OrderedDict(step=3, betas=(0.9, 0.999), names=["a", "b"]),
        "others": [None, 1j, b"\xff", -1, 2**70, (1, 2, 3, 4)],
    }
    return [written(values)] + [path.read_bytes() for path in sorted(FILES.glob("*.pt"))]


def mutate(data: bytes, random: random.Random) -> bytes:
    """One to four small changes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(8)
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + random.randbytes(random.randint(1, 4)) + data[at + 1 :]
        elif kind == 2 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        elif kind == 3:
            length = random.choice((1, 2, 4, 8))
            number = random.choice(NUMBERS) & ((1 << 8 * length) - 1)
            order = random.choice(("little", "big"))
            data = data[:at] + number.to_bytes(length, order) + data[at + length :]
        elif kind == 4:
            data = data[:at] + data[at + random.randint(1, 16) :]
        elif kind == 5:
            end = at + random.randint(1, 64)
            data = data[:end] + data[at:]
        elif kind == 6:
            data = data[:at] + random.choice(OPCODES) + data[at:]
        else:
            data = data[:at] + random.choice(GLOBALS) + data[at:]
    return data


def mutate_opcodes(pickle: bytes, random: random.Random) -> bytes:
    """One to three values of a pickle replaced by others, or opcodes left out, doubled or moved."""
    starts = [position for _, _, position in pickletools.genops(pickle)]
    codes = [pickle[a:b] for a, b in itertools.pairwise([*starts, len(pickle)])]
    pushing = [i for i, code in enumerate(codes) if code[:1] in b"NK\x88\x89JMGXCc)]}\x8ah"]
    for _ in range(random.randint(1, 3)):
        at, kind = random.choice(pushing), random.randrange(6)
        if kind < 3:
            codes[at] = random.choice(VALUES)
        elif kind == 3:
            codes[at] = b""
        elif kind == 4:
            codes[at] += codes[at]
        else:
            other = random.choice(pushing)
            codes[at], codes[other] = codes[other], codes[at]
    return b"".join(codes)


def cases(seed: int) -> Iterator[bytes]:
    """Mutations without end: of whole files, and of pickles in otherwise valid zip files."""
    generator = random.Random(seed)
    files = corpus()
    pickle, storages = pickle_and_storages(files[0])
    while True:
        choice = generator.randrange(4)
        if choice == 0:
            yield mutate(generator.choice(files), generator)
        elif choice == 3:
            yield zip_with(mutate_opcodes(pickle, generator), storages)
        elif choice == 1:
            orders = (b"little", b"big", b"middle")
            order = generator.choices(orders, (6, 3, 1))[0]
            yield zip_with(mutate(pickle, generator), storages, byteorder=order)
        else:
            body = bytes(
                generator.choice(b"(])}tabeusRQN\x85\x86q\x00h\x00K\x01") for _ in range(40)
            )
            yield zip_with(b"\x80\x02" + generator.choice(GLOBALS) + body + b".", storages)


def touch(value: Any) -> None:
    """Look at every number of every array, so that a view beyond its buffer shows."""
    if isinstance(value, np.ndarray):
        assert not value.flags.writeable
        value.tobytes()
    elif isinstance(value, dict):
        for item in value.values():
            touch(item)
    elif isinstance(value, list | tuple):
        for item in value:
            touch(item)


def check(data: bytes) -> bool:
    """Read `data`, and return whether that went well; raise for all but a FileFormatError.

    What is read may take 16 times the file and 16 MiB for tensors, 128 times for objects.
    """
    began = time.perf_counter()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        value = read(io.BytesIO(data))
    except FileFormatError as error:
        value, message = None, str(error)
    else:
        message = ""
    assert message.startswith("<BytesIO>: ") or not message
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 160 * len(data) + (40 << 20), f"took {peak - before} bytes"
    assert time.perf_counter() - began < MAX_SECONDS
    touch(value)
    return not message


def fuzz(seed: int, *, count: int | None = None, seconds: float | None = None) -> tuple[int, int]:
    """Check mutations up to a number or a time; return how many were read, and were tried."""
    tracemalloc.start()
    end = None if seconds is None else time.monotonic() + seconds
    good = tried = 0
    try:
        for data in cases(seed):
            if tried == count or (end is not None and time.monotonic() > end):
                break
            try:
                good += check(data)
            except BaseException:
                print(f"case {tried} of seed {seed}: {data!r}")
                raise
            tried += 1
    finally:
        tracemalloc.stop()
    return good, tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    good, tried = fuzz(options.seed, seconds=options.seconds)
    print(f"{tried} files: {good} read, {tried - good} refused")


if __name__ == "__main__":
    main()

"""What code is generated for: the processor of this machine, as LLVM sees it.

LLVM is asked once; afterwards the answer stands in the disk cache under what the operating system says of the
processor, so that running cached programs does not load LLVM. Depends on `rtfunc.compiler.cache`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
import threading
from dataclasses import dataclass

from rtfunc.compiler.cache import blake2b, content_key, user_cache


@dataclass(frozen=True)
class Target:
    """What code is generated for.

    Attributes:
        triple: LLVM's name of the platform, `x86_64-unknown-linux-gnu`.
        cpu: LLVM's name of the processor, which selects instruction timings. On virtual machines it
            may name a relative of the true one; `features` is what decides which instructions may
            be used.
        features: LLVM feature string, `+avx2,+fma,...`, as read from the processor.
        vector_bytes: width in bytes of the vectors that generated code should use: 64 with AVX-512
            (F, VL, DQ and BW), 32 with AVX, else 16 (SSE2, NEON; SVE is used at 16).
        compiler: versions of what makes the code.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    compiler: str

    @property
    def fingerprint(self) -> str:
        """Hex digest of what decides which object code comes out: target, LLVM and llvmlite."""
        parts = (self.triple, self.cpu, self.features, self.compiler)
        return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


_host: Target | None = None
_lock = threading.Lock()


def _after_fork() -> None:
    """In a forked child: the thread that was asking LLVM, if one was, is not there any more."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def host() -> Target:
    """The target of this process: the machine it runs on."""
    global _host
    if _host is None:
        with _lock:
            _host = known_host() or _asked()
    return _host


def known_host() -> Target | None:
    """`host`, if that is known without loading LLVM."""
    global _host
    if _host is not None:
        return _host
    key = _key()
    stored = user_cache().get(key) if key else None
    if stored is None:
        return None
    try:
        _host = Target(**json.loads(stored))
    except (ValueError, TypeError):  # written by another version
        user_cache().remove(key or "")
    return _host


def _key() -> str | None:
    processor, compiler = _processor(), _compiler_files()
    if processor is None or compiler is None:
        return None
    return content_key("target", processor, compiler)


def vector_bytes() -> int:
    """Width in bytes of the vectors to use on this machine; see `Target.vector_bytes`."""
    return host().vector_bytes


def _asked() -> Target:
    """The target by LLVM's own account, which is kept."""
    from rtfunc.compiler.cpu.engine import describe_host

    target, key = describe_host(), _key()
    if key is not None:
        user_cache().put(key, json.dumps(dataclasses.asdict(target)).encode())
    return target


def _processor() -> str | None:
    """What the operating system says of the first processor, where that is quick to read."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/cpuinfo") as file:
            text = file.read(8192).split("\n\n")[0]
    except OSError:
        return None
    # Clock rates change from one moment to the next.
    return "\n".join(line for line in text.splitlines() if "MHz" not in line and "mips" not in line)


def open_llvm() -> None:
    """Have the operating system load LLVM's library: importing llvmlite then finds it loaded.

    That takes some ms and does without the interpreter's lock: it is for a thread of its own.
    """
    import ctypes

    from llvmlite.utils import get_library_name

    folder = _compiler_folder()
    if folder is not None:
        with contextlib.suppress(OSError):  # llvmlite says better what is wrong
            ctypes.CDLL(os.path.join(folder, get_library_name()))


def _compiler_folder() -> str | None:
    spec = importlib.util.find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return None
    return os.path.join(os.path.dirname(spec.origin), "binding")


def _compiler_files() -> str | None:
    """Size and time of the files of llvmlite: those of another version differ."""
    folder, found = _compiler_folder(), []
    if folder is None:
        return None
    with os.scandir(folder) as entries:
        for entry in entries:
            if "llvmlite" in entry.name:
                found.append((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns))
    return repr(sorted(found))

"""Data of no known form: how it begins, and how much of it is zeros."""

import re
from collections.abc import Iterator

from mnesis.files.explore.subject import Subject

_MAGIC = (
    (b"\x7fELF", "ELF program or library"),
    (b"MZ", "Windows program or library"),
    (b"\xcf\xfa\xed\xfe", "Mach-O program or library"),
    (b"\xca\xfe\xba\xbe", "Java class or universal Mach-O"),
    (b"\x00asm", "WebAssembly"),
    (b"\x93NUMPY", "NumPy array"),
    (b"\x89HDF", "HDF5"),
    (b"GGUF", "GGUF model"),
    (b"\xd0\xcf\x11\xe0", "old Microsoft Office document"),
    (b"7z\xbc\xaf", "7z archive"),
    (b"Rar!", "RAR archive"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"ID3", "MP3 sound"),
    (b"OggS", "Ogg sound"),
    (b"fLaC", "FLAC sound"),
    (b"RIFF", "RIFF (WAV, AVI, WebP)"),
    (b"\x80\x04\x95", "Python pickle: never load one that you do not trust"),
    (b"ARROW1", "Arrow file"),
)
_WORDS = re.compile(rb"[\x20-\x7e]{6,}")


def explore(subject: Subject) -> Iterator[str]:
    """Magic, first bytes, first readable words."""
    head = subject.head
    if head[4:8] == b"ftyp":
        yield "MP4, QuickTime or HEIC"
    elif known := next((name for magic, name in _MAGIC if head.startswith(magic)), None):
        yield known
    if not head.strip(b"\0"):
        yield f"its first {len(head):,} bytes are zeros"
        return
    yield f"begins with {head[:16].hex(' ')}"
    if words := _WORDS.findall(head)[:8]:
        yield f"readable in it: {' | '.join(word[:40].decode() for word in words)}"

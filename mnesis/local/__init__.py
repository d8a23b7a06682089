"""Model files on this machine: where they are, and what they say of themselves."""

from mnesis.local.files import find, folder, installed
from mnesis.local.gguf import Header, read_header

__all__ = ["Header", "find", "folder", "installed", "read_header"]

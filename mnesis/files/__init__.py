"""Files larger than a window: explored once, referred to, and read on in when it is asked for."""

from mnesis.files.handler import LargeFileHandler, check
from mnesis.files.shelf import Shelf

__all__ = ["LargeFileHandler", "Shelf", "check"]

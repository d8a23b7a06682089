"""Model files on this machine: where they are, what they say of themselves, and how a first one comes here.

from mnesis import local

local.get("smollm2")  # once; then MnesisSession.open(model="local/smollm2")
"""

from mnesis.local.files import find, folder, installed
from mnesis.local.gguf import Header, read_header
from mnesis.local.offers import OFFERS, Offer, get, is_here

__all__ = ["OFFERS", "Header", "Offer", "find", "folder", "get", "installed", "is_here", "read_header"]

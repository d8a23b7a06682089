"""Making room: what is compacted, into what, and how that becomes the next view."""

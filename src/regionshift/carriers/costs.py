"""What carrying one item takes, reckoned from its size: requests, and bytes that are moved more than once."""

from __future__ import annotations

from dataclasses import dataclass

from regionshift.carriers.carrier import Item, Level
from regionshift.carriers.s3.contents import READ_STEP
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.s3.proof import READ_WHOLE

# Beside the parts: the source's headers and tags, the uploads that are there, the beginning, the end.
_AROUND_PARTS = 5
_TAGS = 2  # one request a side
_SIDES = 2
_SIZES = MultipartSizes()


@dataclass
class Cost:
    """Adds up.

    Attributes:
        writes: requests priced as PUT or COPY.
        reads: requests priced as GET.
        read: bytes that the proof reads on each side: of whole objects, and at most those of objects that no
            stored checksum tells of, which nobody knows before they are asked.
        copied_alone, read_alone: bytes of the largest item: one object is one call's.
    """

    writes: int = 0
    reads: int = 0
    read: int = 0
    copied_alone: int = 0
    read_alone: int = 0

    @property
    def requests(self) -> int:
        """All of them."""
        return self.writes + self.reads

    def add(self, kind: str, item: Item, level: Level) -> None:
        """One item that is written."""
        if kind != "s3":
            # The value and its settings, and at full the same of both sides again.
            self.writes += 1
            self.reads += 4 if level is Level.FULL else 0
            return
        self.copied_alone = max(self.copied_alone, item.size)
        for version in item.versions:
            self.writes += 1
            if version.size > _SIZES.threshold:
                self.writes += -(-version.size // _SIZES.part_size(version.size)) + _AROUND_PARTS
            if level is Level.FULL and not version.marker:
                self._prove(version.size)

    def batch(self) -> None:
        """One batch's own: its plan, lease, results and listings."""
        self.writes += 3
        self.reads += 3

    def _prove(self, size: int) -> None:
        self.reads += _SIDES + _TAGS
        self.read += size
        if size > READ_WHOLE:
            self.reads += _SIDES * -(-size // READ_STEP)
            self.read_alone = max(self.read_alone, size)

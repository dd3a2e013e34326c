"""A cursor over bytes."""


class Short(Exception):
    """The bytes ended early, or did not end where they should."""


class Reader:
    """Takes big-endian fields off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        """Returns the next bytes; raises Short."""
        end = self.at + length
        if end > len(self.data):
            raise Short(f"{length} bytes wanted at {self.at} of {len(self.data)}")
        taken, self.at = self.data[self.at:end], end
        return taken

    def number(self, length):
        """Returns the next big-endian integer; raises Short."""
        return int.from_bytes(self.take(length), "big")

    def end(self):
        """Raises Short if bytes are left over."""
        if self.at != len(self.data):
            raise Short(f"{len(self.data) - self.at} bytes left over")

"""A seal without keys, for tests of what stands around it."""

from __future__ import annotations

from collector.wsman.sealing import SPNEGO, SealError


class PaperSeal:
    """Turns every bit over, counts messages and adds up the bytes; *padding* as RC4 adds it.

    It notices what a real one notices: another order, a repetition, another byte.
    """

    def __init__(self, protocol: str = SPNEGO, padding: int = 0) -> None:
        self.protocol = protocol
        self._padding = padding
        self._sent = self._received = 0

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        self._sent += 1
        padded = plain + bytes([self._padding]) * self._padding
        return _header(self._sent, padded), _turned(padded), self._padding

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        padded = _turned(bytes(sealed))
        if header != _header(self._received + 1, padded):
            raise SealError("a sealed body cannot be opened: the paper is torn")
        self._received += 1
        return padded[: len(padded) - self._padding]


def _header(number: int, padded: bytes) -> bytes:
    return b"PAPR" + number.to_bytes(4, "big") + sum(padded).to_bytes(8, "big")


_TABLE = bytes(byte ^ 0xFF for byte in range(256))


def _turned(content: bytes) -> bytes:
    return content.translate(_TABLE)

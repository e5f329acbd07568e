"""What the header of a sealed message says to somebody without its key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.auth.wrap_tokens import WrapToken, wrap_token

AES = bytes.fromhex("050406ff0000001c000000000fece2a8f629bb3f3c1bf9dfb3bc040b5f0cb9e637f383ce") + bytes(24)
"""How a captured one begins (protocol.md 3.8)."""
RC4 = "602d06092a864886f712010202020111001000fffff0d6d4242ec43bac5346b747d972376688ce40dafc6317fc"
RC4_LONG = "60820fcc06092a864886f712010202020111001000ffff97670c5a7ff12c628d660a8b5e64fd4a390efde3d8e53d32"
"""MIT's, around 1 and 4000 bytes: the length of the framing counts the ciphertext, which is elsewhere."""
NTLM = bytes.fromhex("01000000a1b2c3d4e5f6071805000000")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (AES, WrapToken("AES", 267182760, True, False, True, 0, 28)),
        (b"\x05\x04\x07" + AES[3:], WrapToken("AES", 267182760, True, True, True, 0, 28)),
        (b"\x05\x04\x00" + AES[3:], WrapToken("AES", 267182760, False, False, False, 0, 28)),
        (bytes.fromhex(RC4), WrapToken("RC4", sealed=True)),
        (bytes.fromhex(RC4_LONG), WrapToken("RC4", sealed=True)),
        (bytes.fromhex(RC4.replace("1000ffff", "ffffffff")), WrapToken("RC4", sealed=False)),
        (NTLM, WrapToken("NTLM", 5)),
        (NTLM + b"\0", WrapToken("unknown")),
        (AES[:15], WrapToken("unknown")),
        (bytes.fromhex(RC4.replace("020111", "010111")), WrapToken("unknown")),  # a MIC, not a message
        (b"", WrapToken("unknown")),
    ],
)
def test_a_header_names_its_kind_and_its_number(header: bytes, said: WrapToken) -> None:
    """A gap in the numbers of a capture is a message that never came; RC4 hides its own."""
    assert wrap_token(header) == said


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: bytes.fromhex(RC4)[:12] + rest))
def test_strange_headers_are_unknown_and_no_error(header: bytes) -> None:
    """``wef decode`` shows what it can of any file."""
    assert wrap_token(header).kind in ("AES", "RC4", "NTLM", "unknown")

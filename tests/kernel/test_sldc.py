"""SLDC: what Windows compresses comes back to the byte, and nothing else comes back at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.kernel import sldc

LIMIT = 1 << 20
RESET_1, RESET_2 = (0x1FF5, 13), (0x1FF6, 13)
SCHEME_1, SCHEME_2, FLUSH, EOR, END = (0x1FF1, 13), (0x1FF2, 13), (0x1FF0, 13), (0x1FF4, 13), (0x1FFF, 13)


def literal(byte: int) -> tuple[int, int]:
    """Scheme 1: ZERO and the byte."""
    return byte, 9


def plain(byte: int) -> tuple[int, int]:
    """Scheme 2: the byte, and a ZERO behind 0xFF."""
    return (byte << 1, 9) if byte == 0xFF else (byte, 8)


def copy(length: int, place: int) -> tuple[int, int]:
    """Scheme 1: a match of 2 or 3 bytes, or of 32 to 271, from an absolute place of the history."""
    if length < 4:
        return (0b10 << 1 | length - 2) << 10 | place, 13
    return (0b11111 << 8 | length - 32) << 10 | place, 23


def stream(*symbols: tuple[int, int], declared: int) -> bytes:
    """Symbols as (value, bits), zero padding to an even number of bytes, the length trailer."""
    acc, bits = 0, 0
    for value, width in symbols:
        acc, bits = acc << width | value, bits + width
    pad = -bits % 16
    return (acc << pad).to_bytes((bits + pad) // 8, "big") + declared.to_bytes(4, "little")


@pytest.mark.parametrize("name", ["sldc-heartbeat-kerberos-2022", "sldc-heartbeat-tls-2018"])
def test_what_windows_compressed_comes_back_to_the_byte(shared_data: Path, name: str) -> None:
    """The only two streams of real Windows sources that were ever published."""
    captured = shared_data / "captures" / name

    assert sldc.decode(captured.with_suffix(".sldc").read_bytes(), LIMIT) == captured.with_suffix(".plain").read_bytes()


def test_a_stream_in_scheme_2_is_read() -> None:
    """Windows uses scheme 1; the standard lets any encoder choose."""
    symbols = [RESET_2, *(plain(byte) for byte in b"test\xff\x00\xffstring"), EOR]

    assert sldc.decode(stream(*symbols, declared=13), LIMIT) == b"test\xff\x00\xffstring"


def test_a_stream_may_change_its_scheme_and_keeps_its_history() -> None:
    """Another decoder ignores the change from 1 to 2, another forgets scheme 2's bytes; both are wrong by 8.2."""
    symbols = [RESET_1, literal(65), SCHEME_2, plain(66), plain(0xFF), SCHEME_1, copy(3, 0), EOR]

    assert sldc.decode(stream(*symbols, declared=6), LIMIT) == b"AB\xffAB\xff"


def test_a_flush_is_followed_by_zeros_to_the_next_32_bits() -> None:
    """It may stand anywhere; the pad behind it has 0 to 31 bits."""
    symbols = [RESET_1, literal(65), FLUSH, (0, -(13 + 9 + 13) % 32), literal(66), EOR]

    assert sldc.decode(stream(*symbols, declared=2), LIMIT) == b"AB"


def test_a_reset_forgets_the_history_and_counts_places_from_zero_again() -> None:
    """Place 0 is the first byte after the reset, not the first of the stream."""
    symbols = [RESET_1, literal(65), literal(66), RESET_1, literal(67), literal(68), copy(2, 0), EOR]

    assert sldc.decode(stream(*symbols, declared=6), LIMIT) == b"ABCDCD"


def test_an_end_marker_alone_is_empty_data() -> None:
    """[ECMA-321] 8.5: padded with ONEs to 32 bits."""
    assert sldc.decode(stream(END, ((1 << 19) - 1, 19), declared=0), LIMIT) == b""


def test_a_copy_may_overlap_its_own_output() -> None:
    """It goes byte by byte: what it has just written is read again."""
    symbols = [RESET_1, literal(65), literal(66), copy(271, 0), EOR]

    assert sldc.decode(stream(*symbols, declared=273), LIMIT) == (b"AB" * 137)[:273]


def test_a_copy_may_wrap_around_the_end_of_the_history() -> None:
    """Both captured streams do; the history is a ring of 1,024 bytes."""
    first = bytes(i % 251 for i in range(1030))
    symbols = [RESET_1, *(literal(byte) for byte in first), copy(40, 1000), EOR]

    assert sldc.decode(stream(*symbols, declared=1070), LIMIT) == first + first[1000:1030] + first[1000:1010]


@pytest.mark.parametrize(
    ("symbols", "declared"),
    [
        ((RESET_1, literal(65), copy(2, 1), EOR), 3),  # its own place, before the ring is full
        ((RESET_1, literal(65), copy(2, 700), EOR), 3),
        ((copy(2, 0), EOR), 2),
        ((RESET_1, literal(65), literal(66), RESET_1, copy(2, 0), EOR), 4),
    ],
)
def test_a_copy_from_where_nothing_was_written_is_refused(symbols: tuple[tuple[int, int], ...], declared: int) -> None:
    """It would show zeros, or bytes of somebody else's message in a decoder that keeps its buffer."""
    with pytest.raises(sldc.SldcError, match="never written"):
        sldc.decode(stream(*symbols, declared=declared), LIMIT)


@pytest.mark.parametrize("symbol", range(0x1FF7, 0x1FFF))
def test_a_reserved_control_symbol_is_refused(symbol: int) -> None:
    """Whatever it may mean one day, we do not know it."""
    with pytest.raises(sldc.SldcError, match="reserved"):
        sldc.decode(stream(RESET_1, literal(65), (symbol, 13), EOR, declared=1), LIMIT)


def test_a_declared_length_above_the_limit_is_refused_before_anything_is_decoded() -> None:
    """The stream here is garbage: had it been looked at, another error would say so."""
    with pytest.raises(sldc.SldcTooLong, match="declares 1048577 bytes, at most 1048576"):
        sldc.decode(b"\xff" * 64 + (LIMIT + 1).to_bytes(4, "little"), LIMIT)


@pytest.mark.parametrize("declared", [0, 4999, 5001, 65535])
def test_a_trailer_that_lies_is_refused(declared: int) -> None:
    """The length is the only check the format has."""
    whole = sldc.encode(b"0123456789" * 500)

    with pytest.raises(sldc.SldcError, match="declare"):
        sldc.decode(whole[:-4] + declared.to_bytes(4, "little"), LIMIT)


def test_a_bomb_stops_where_its_declared_length_is_passed() -> None:
    """23 bits make 271 bytes: a megabyte of copies would be 94 megabytes."""
    bomb = stream(RESET_1, literal(65), *[copy(271, 0)] * 50_000, EOR, declared=1000)

    with pytest.raises(sldc.SldcError, match="more than the 1000 bytes it declares"):
        sldc.decode(bomb, LIMIT)


def test_a_stream_cut_anywhere_is_refused() -> None:
    """Every cut of a short stream, its trailer kept: never a part of the data, never another exception."""
    whole = sldc.encode("<Event>é€</Event>".encode("utf-16") * 3)
    for cut in range(len(whole) - 6):
        with pytest.raises(sldc.SldcError):
            sldc.decode(whole[:cut] + whole[-4:], LIMIT)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_too_few_bytes_are_refused(data: bytes) -> None:
    """Four bytes are the trailer, and nothing says that a stream was there."""
    with pytest.raises(sldc.SldcError):
        sldc.decode(data, LIMIT)


def test_the_encoder_makes_xml_smaller_and_ends_as_windows_does() -> None:
    """Reset 1 first, an even number of bytes, the length behind: the form of the captured streams."""
    text = "".join(f"<Data Name='field{i}'>value {i}</Data>" for i in range(300)).encode("utf-16-le")
    encoded = sldc.encode(text)

    assert encoded[0] == 0xFF
    assert encoded[1] & 0xF8 == 0xA8
    assert len(encoded) % 2 == 0
    assert encoded[-4:] == len(text).to_bytes(4, "little")
    assert len(encoded) < len(text) / 2


@given(st.binary(max_size=4000))
@settings(max_examples=60, deadline=None)
def test_any_bytes_come_back_from_encoder_and_decoder(data: bytes) -> None:
    """The simulator's encoder and the collector's decoder agree."""
    assert sldc.decode(sldc.encode(data), len(data)) == data


@given(st.lists(st.sampled_from([b"ab", b"<Event>", b"\0", b"aaaaaaaaaa", bytes(range(256))]), max_size=60))
@settings(max_examples=40, deadline=None)
def test_repetitive_bytes_come_back_too(parts: list[bytes]) -> None:
    """Random bytes hold no match; these are nearly all matches, with wraps and overlaps."""
    data = b"".join(parts)

    assert sldc.decode(sldc.encode(data), len(data)) == data


@given(st.binary(min_size=4, max_size=200), st.integers(0, 3000))
@settings(max_examples=150, deadline=None)
def test_garbage_raises_nothing_but_its_own_error(data: bytes, declared: int) -> None:
    """A body is hostile until it has been read."""
    try:
        plain_bytes = sldc.decode(b"\xff\xa8" + data + declared.to_bytes(4, "little"), 3000)
    except sldc.SldcError:
        return
    assert len(plain_bytes) == declared

"""SLDC compiled says what SLDC in Python says: the same bytes, or a refusal where that refuses."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.kernel import sldc
from tests.kernel.built import built
from tests.kernel.fuzz_sldc import FILE_MARK, WITNESSES, said, true_length
from tests.kernel.test_sldc import END, EOR, FLUSH, RESET_1, RESET_2, SCHEME_1, SCHEME_2, copy, literal, plain, stream

compiled = built("_sldc")

CAPTURES = ["sldc-heartbeat-kerberos-2022", "sldc-heartbeat-tls-2018"]
XML = "<Data Name='TargetUserName'>J\xf6rg</Data><Data Name='TargetDomainName'>CORP</Data>".encode("utf-16-le")

symbols = st.one_of(
    st.integers(0, 255).map(literal),
    st.integers(0, 255).map(plain),
    st.builds(copy, st.sampled_from([2, 3, *range(32, 272)]), st.integers(0, 1023)),
    st.builds(copy, st.sampled_from([2, 3, 40, 271]), st.integers(0, 8)),  # near the beginning: these exist
    st.sampled_from([RESET_1, RESET_2, SCHEME_1, SCHEME_2, FLUSH, FILE_MARK, EOR, END]),
    st.integers(0x1FF0, 0x1FFF).map(lambda symbol: (symbol, 13)),
    st.integers(0, 31).map(lambda bits: (0, bits)),
)


def alike(encoded: bytes, declared: int) -> None:
    """Both kernels find the same bytes in the stream, or both refuse it."""
    body = encoded + declared.to_bytes(4, "little")
    assert said(compiled.expand, body) == said(sldc.expand, body)


@pytest.mark.parametrize("name", CAPTURES)
def test_what_windows_compressed_comes_back_to_the_byte(shared_data: Path, name: str) -> None:
    """The only two streams of real Windows sources that were ever published."""
    captured = shared_data / "captures" / name
    original = captured.with_suffix(".plain").read_bytes()

    assert compiled.expand(captured.with_suffix(".sldc").read_bytes(), len(original)) == original


@pytest.mark.parametrize("name", CAPTURES)
def test_a_damaged_capture_is_read_alike(shared_data: Path, name: str) -> None:
    """Bits flip, parts go missing: where one kernel still finds bytes the other finds the same."""
    seed = random.Random(7)
    body = (shared_data / "captures" / name).with_suffix(".sldc").read_bytes()
    declared = int.from_bytes(body[-4:], "little")
    for _ in range(300):
        damaged = bytearray(body[:-4])
        for _ in range(seed.choice([1, 1, 2, 8])):
            damaged[seed.randrange(len(damaged))] ^= 1 << seed.randrange(8)
        end = seed.randrange(len(damaged)) if seed.random() < 0.2 else len(damaged)
        alike(bytes(damaged[:end]), declared)


@given(st.lists(symbols, max_size=120), st.integers(0, 3000))
@settings(max_examples=400, deadline=None)
def test_any_row_of_symbols_is_read_alike(row: list[tuple[int, int]], declared: int) -> None:
    """Resets, changes of scheme, padding and reserved symbols in any order, with any length declared."""
    alike(stream(*row, declared=0)[:-4], declared)


@given(st.lists(symbols, max_size=120))
@settings(max_examples=400, deadline=None)
def test_a_row_of_symbols_with_its_true_length_is_read_alike(row: list[tuple[int, int]]) -> None:
    """A length at random would be refused for its length; here what the pure kernel has put out is declared."""
    encoded = stream(RESET_1, literal(65), literal(66), *row, EOR, declared=0)[:-4]
    alike(encoded, true_length(encoded))


@given(st.binary(max_size=300), st.integers(0, 4000))
@settings(max_examples=300, deadline=None)
def test_garbage_is_read_alike(garbage: bytes, declared: int) -> None:
    """A body is hostile until it has been read."""
    alike(b"\xff\xa8" + garbage, declared)


@given(st.lists(st.sampled_from([b"ab", XML, b"\0", b"aaaaaaaaaa", bytes(range(256)), b"\xff\xff"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_encoders_write_the_same_bytes(parts: list[bytes]) -> None:
    """A simulated source sends the same with and without the compiled kernel."""
    original = b"".join(parts)

    assert compiled.encode(original) == sldc.pack(original)


@given(st.binary(max_size=4000))
@settings(max_examples=60, deadline=None)
def test_the_encoders_write_the_same_bytes_for_what_cannot_shrink(original: bytes) -> None:
    """Nine bits for each byte: the most room that a stream can need."""
    assert compiled.encode(original) == sldc.pack(original)


def test_a_large_body_comes_back_without_the_interpreters_lock() -> None:
    """Above a megabyte other threads go on meanwhile; the bytes must not depend on it."""
    original = b"".join(XML + str(i).encode() for i in range(12_000))
    assert len(original) > 1 << 20
    body = compiled.encode(original)

    assert compiled.expand(body, len(original)) == original
    with pytest.raises(sldc.SldcError):
        compiled.expand(body[: len(body) // 2] + body[-4:], len(original))


@pytest.mark.parametrize("wrong", [None, "text", 7, bytearray(b"\xff\xa8\0\0\0\0")])
def test_what_is_no_bytes_object_is_refused_in_words(wrong: object) -> None:
    """Memory that somebody else may resize is never read without the lock."""
    with pytest.raises(TypeError):
        compiled.expand(wrong, 4)


@pytest.mark.parametrize("body", [b"", b"\xff", b"\xff\xa8\0"])
def test_a_body_that_is_shorter_than_its_trailer_is_refused(body: bytes) -> None:
    """The public name has looked at the trailer already; memory must be safe without it too."""
    with pytest.raises(sldc.SldcError):
        compiled.expand(body, 0)


def test_streams_that_were_once_read_differently_are_read_alike() -> None:
    """What tests.kernel.fuzz_sldc has found stays found."""
    for path in sorted(WITNESSES.glob("*.sldc")):
        body = path.read_bytes()
        assert said(compiled.expand, body) == said(sldc.expand, body), path.name

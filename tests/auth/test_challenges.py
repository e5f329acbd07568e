"""WWW-Authenticate, as Windows, proxies and enemies write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.auth.challenges import LONGEST, Challenge, read_challenges, token_for

TOKEN = "YIIBhgYJKoZIhvcSAQICAgBvggF1MIIBcaAD+/AgEFoQ8=="


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        (["Negotiate", "Kerberos", 'Basic realm="WSMAN"', "CredSSP"], ["negotiate", "kerberos", "basic", "credssp"]),
        (['Negotiate, Kerberos,Basic realm="WSMAN"'], ["negotiate", "kerberos", "basic"]),
        (['Basic realm="Negotiate, Kerberos", Kerberos'], ["basic", "kerberos"]),
        (['Basic realm="a \\" , Kerberos b", charset = "UTF-8", NEGOTIATE'], ["basic", "negotiate"]),
        (['Digest realm="x",nonce=abc==, qop="auth,auth-int", Kerberos'], ["digest", "kerberos"]),
        (["  kerberos\t", "", ",,", ", Negotiate ,"], ["kerberos", "negotiate"]),
        (['Basic realm="never closed, Kerberos'], ["basic"]),
    ],
)
def test_every_scheme_is_found_however_they_are_written(values: list[str], schemes: list[str]) -> None:
    """Windows writes one a line, RFC 9110 allows all in one, and a realm may quote anything."""
    assert [challenge.scheme for challenge in read_challenges(values)] == schemes


@pytest.mark.parametrize(
    "value", [f"Kerberos {TOKEN}", f"KERBEROS  {TOKEN} ", f"Basic realm=x, kerberos {TOKEN}, Negotiate"]
)
def test_a_token_stays_whole(value: str) -> None:
    """Its equals signs are none of a parameter, and it is base64 to the last letter."""
    assert token_for("Kerberos", read_challenges([value])) == TOKEN


def test_a_scheme_without_a_token_is_not_the_same_as_no_scheme() -> None:
    """The one asks us to begin, the other does not want us."""
    challenges = read_challenges(["Negotiate", 'Basic realm="WSMAN"'])

    assert token_for("negotiate", challenges) == ""
    assert token_for("basic", challenges) == ""
    assert token_for("kerberos", challenges) is None


def test_the_value_with_the_token_counts() -> None:
    """Some far ends repeat the bare scheme beside it."""
    assert token_for("negotiate", [Challenge("negotiate"), Challenge("negotiate", TOKEN)]) == TOKEN


@given(st.lists(st.text(alphabet='"\\,= \tKx', max_size=300) | st.text(max_size=50)))
def test_anything_at_all_can_be_read(values: list[str]) -> None:
    """The far end is a stranger until it has proven who it is."""
    for challenge in read_challenges(values):
        assert challenge.scheme == challenge.scheme.lower() != ""


@pytest.mark.parametrize("piece", ['"\\', '\\"', ",", 'a="', "= "])
def test_a_long_value_costs_no_more_than_its_length(piece: str) -> None:
    """A pattern that looks again and again at the same letters would take minutes for these."""
    read_challenges([piece * LONGEST])

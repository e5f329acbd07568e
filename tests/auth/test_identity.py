"""Names that would be another source's in lower case."""

from __future__ import annotations

import pytest

from collector.auth.identity import folds_into_another


@pytest.mark.parametrize("name", ["PC\u212a01$@CORP", "\u212bRE$@CORP", "\u2126$@CORP"])
def test_a_letter_that_becomes_another_letters_lower_case_is_a_look_alike(name: str) -> None:
    """The Kelvin sign is no K, and ``str.lower`` makes a k of both: two machines would share a bookmark."""
    assert folds_into_another(name)


@pytest.mark.parametrize("name", ["PC01$@CORP", "pc01.corp.example", "BÜRO$@CORP", "straße$@CORP", "İZMİR$@CORP", ""])
def test_names_of_every_language_stay_what_they_are(name: str) -> None:
    """Domains speak more than English."""
    assert not folds_into_another(name)

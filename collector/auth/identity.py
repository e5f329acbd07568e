"""Which proven names can be a caller's key. Pure: it knows no mechanism.

A key is a name in lower case (contract.md 3), so a name that is somebody else's in lower case cannot be one.
"""

from __future__ import annotations


def folds_into_another(name: str) -> bool:
    """Whether *name* has letters that become another letter's lower case: U+212A, the Kelvin sign, becomes a k.

    Whoever may join machines to a domain chooses their names, and would be the machine that is spelled with a K.
    """
    return any(
        len(low) == 1 and low not in (letter, "") and low.upper() != letter
        for letter, low in ((letter, letter.lower()) for letter in name)
    )

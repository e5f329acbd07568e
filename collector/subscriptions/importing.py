"""Other collectors' subscription files into ours: which kind a file is, and proof that nothing changed on the way.

It opens nothing: bytes in, the text of our own file out.
"""

from __future__ import annotations

import re
from dataclasses import fields

from collector.subscriptions.openwec_file import read_openwec
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.subscription import Imported
from collector.subscriptions.toml_file import decoded, read_toml
from collector.subscriptions.toml_text import toml_text
from collector.subscriptions.wecutil_file import read_wecutil_to_import

_XML = re.compile(rb"\xff\xfe|\xfe\xff|(?:\xef\xbb\xbf)?\s*<")
_UNSAFE = re.compile(r"[^\w.\-]+")


def read_foreign(content: bytes) -> Imported:
    """A file of wecutil (XML) or of OpenWEC (TOML). Raises ``FileProblems``."""
    return read_wecutil_to_import(content) if _XML.match(content) else read_openwec(decoded(content))


def import_text(imported: Imported, origin: str) -> str:
    """Our file for it. Raises ``FileProblems`` when ours cannot say what that one said."""
    written = toml_text(imported, origin)
    wanted = imported.subscription
    try:
        loaded = read_toml(written)
    except FileProblems as error:
        raise FileProblems([(None, sentence) for _, sentence in error.problems]) from error
    if loaded != wanted:
        lost = [entry.name for entry in fields(wanted) if getattr(loaded, entry.name) != getattr(wanted, entry.name)]
        raise FileProblems([(None, f"our files cannot say its {', '.join(lost)}; please report this file.")])
    return written


def file_name(name: str) -> str:
    """``NAME.toml`` for a subscription of this name, in any folder and on any disk."""
    return (_UNSAFE.sub("-", name).strip("-.")[:80] or "subscription") + ".toml"

"""The one way in which XML of strangers is parsed: for envelopes and for events.

No DTD, no entities, no network; libxml2's own bounds on depth (256) and size stay on. A
DOCTYPE is refused by whoever parses: libxml2 would only ignore what it declares.
"""

from __future__ import annotations

from lxml import etree


def hardened_parser() -> etree.XMLParser:
    """A parser to keep: making one costs more than parsing an event. It takes UTF-8 bytes."""
    return etree.XMLParser(
        encoding="utf-8",  # the text was decoded long ago: an encoding declaration in it no longer tells the truth
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
        remove_comments=True,
        remove_pis=True,
    )

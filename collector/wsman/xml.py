"""How the protocol parses XML, and the characters that XML cannot hold.

Nothing is fetched, nothing is expanded, no document type is taken, depth and size are
bounded. It parses and refuses; what the elements mean is not known here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias
from xml.sax import saxutils

from lxml import etree

from collector.kernel.hardened import hardened_parser

ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, not even as a reference (XML 1.0, production 2)."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

BLANKS = " \t\r\n"
"""White space by XML 1.0, production 3: hand it to ``strip``, which by itself also takes U+001F and U+00A0."""

_PARSER = hardened_parser()
_RESOURCE_LIMIT = 114  # libxml2's XML_ERR_RESOURCE_LIMIT: its own bounds on depth and size, lxml has no name for it
_DECLARATION = re.compile(r"<\?xml\s[^>]*\?>")
# What may stand before a document type. Atomic and possessive: a hostile prologue costs one pass.
_DOCTYPE = re.compile(r"(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)


Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml gives the class of what it returns no public name


class XmlError(ValueError):
    """The text is no XML that the collector takes; the message is a sentence that says why."""


class XmlForbidden(XmlError):
    """Well-formed or not: it has a document type or is beyond a bound, and nobody shall look for a way round."""


def parse(text: str, *, depth: int = 100) -> Element:
    """The root of the document *text*, without comments and processing instructions.

    Raises ``XmlError`` when it is not well-formed, ``XmlForbidden`` when it has a document
    type or is nested deeper than *depth* elements. A declared encoding is ignored: the text is decoded already.
    """
    if text.startswith("<?xml"):
        declaration = _DECLARATION.match(text)
        if declaration:
            text = text[declaration.end() :]
    # "<!" further down is CDATA or a comment, and a document type can only stand in the prologue.
    if "<!DOCTYPE" in text and _DOCTYPE.match(text):
        raise XmlForbidden("the XML has a document type (DOCTYPE); a SOAP message must not have one")
    try:
        root = etree.fromstring(text.encode("utf-8"), _PARSER)
    except UnicodeEncodeError:
        raise XmlError("the XML holds a lone surrogate, which is no character") from None
    except etree.XMLSyntaxError as error:
        kind = XmlForbidden if getattr(error, "code", None) == _RESOURCE_LIMIT else XmlError
        raise kind(f"the XML is not well-formed: {str(error.msg)[:200]}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmlForbidden("the XML has a document type (DOCTYPE); a SOAP message must not have one")
    # Each level but the innermost needs an end tag of its own, so most messages are not even looked at.
    if text.count("</") >= depth and _deeper_than(depth)(root):
        raise XmlForbidden(f"the XML is nested deeper than {depth} elements")
    return root


@lru_cache(maxsize=8)
def _deeper_than(depth: int) -> etree.XPath:
    """Level by level in C: linear in the number of elements, whatever their shape."""
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


def alone(element: Element) -> str:
    """*element* as XML text that stands alone: with the namespaces it uses, without those around it."""
    # UTF-8, not lxml's ASCII: a name may hold letters that only text can spell as references
    text = etree.tostring(element, encoding="utf-8", with_tail=False)
    try:
        copy = etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError:  # megabytes of what is written as a reference now: past libxml2's bounds
        return text.decode()  # complete as it is; it only names namespaces that it does not use
    etree.cleanup_namespaces(copy, keep_ns_prefixes=_own_prefixes(element))
    return etree.tostring(copy, encoding="unicode")


def _own_prefixes(element: Element) -> list[str]:
    """Prefixes that *element* declares or redeclares itself; QNames in its text may need them."""
    parent = element.getparent()
    around = parent.nsmap if parent is not None else {}
    return [prefix for prefix, uri in element.nsmap.items() if prefix is not None and around.get(prefix) != uri]


def escaped(text: str) -> str:
    """*text* as the content of an element; what XML cannot hold becomes U+FFFD."""
    return saxutils.escape(ILLEGAL.sub(REPLACEMENT, text))


def quoted(text: str) -> str:
    """*text* as the content of an attribute in double quotes."""
    return escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")

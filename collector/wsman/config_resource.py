"""The winrm/config resource as nested values: XML in, XML out, and winrm's text form.

It knows the shape of such documents and not one of their elements; unknown ones are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from collector.wsman import names
from collector.wsman.xml import BLANKS, Element, XmlForbidden, escaped, parse, quoted

DEEPEST = 16
"""Elements; winrm/config has four levels, a plugin's seven."""
MOST = 10_000
"""Elements in one document; winrm/config has 60."""
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class ConfigNode:
    """One element: local *name*, *text* (blanks around trimmed), *children* in order, *source* ("GPO") or None."""

    name: str
    text: str = ""
    children: Sequence[ConfigNode] = ()
    source: str | None = None

    def find(self, path: str) -> ConfigNode | None:
        """The first descendant at *path* (``Service/Auth/Basic``), names without regard to case; None: not there.

        An empty path is the node itself.
        """
        here: ConfigNode | None = self
        for part in filter(None, path.split("/")):
            wanted = part.casefold()
            children = here.children if here is not None else ()
            here = next((child for child in children if child.name.casefold() == wanted), None)
        return here

    def value(self, path: str, default: str = "") -> str:
        """The text at *path*, *default* when there is no such element."""
        found = self.find(path)
        return found.text if found is not None else default


def parse_config(xml: str) -> ConfigNode:
    """The document *xml* (``Got.document``, one of ``Enumerated.items``), whatever its namespaces.

    Raises ``XmlError``: not well-formed, a DOCTYPE, deeper than ``DEEPEST`` or larger than ``MOST`` elements.
    """
    root = parse(xml, depth=DEEPEST)
    if sum(1 for _ in root.iter()) > MOST:
        raise XmlForbidden(f"the XML holds more than {MOST} elements")
    return _node(root)


def _node(element: Element) -> ConfigNode:
    source = next((str(value) for name, value in element.attrib.items() if _local(name) == "Source"), None)
    return ConfigNode(
        _local(element.tag), (element.text or "").strip(BLANKS), tuple(_node(child) for child in element), source
    )


def _local(name: str | bytes | bytearray) -> str:
    return str(name).rpartition("}")[2]


def write_config(node: ConfigNode, *, namespace: str = names.CONFIG) -> str:
    """*node* as an XML text in *namespace*, spelled as Windows spells cfg:Config.

    The names are written as they are: they are ours, or were read from XML.
    """
    return _spelled(node, f' xmlns:cfg="{quoted(namespace)}"')


def _spelled(node: ConfigNode, declared: str = "") -> str:
    source = f' Source="{quoted(node.source)}"' if node.source is not None else ""
    children = "".join(_spelled(child) for child in node.children)
    return f"<cfg:{node.name}{declared}{source}>{escaped(node.text)}{children}</cfg:{node.name}>"


def config_text(node: ConfigNode) -> str:
    """*node* as ``winrm get`` prints it (protocol.md 11.7), with a line feed at the end.

    Values that no line may hold are shown as blanks: they come from elsewhere, and go to somebody's terminal.
    """
    return "".join(f"{line}\n" for line in _lines([node], 0))


def _lines(nodes: Sequence[ConfigNode], level: int) -> list[str]:
    lines: list[str] = []
    for name, found in groupby(nodes, key=lambda node: node.name):
        same = list(found)
        if len(same) > 1 and not any(node.children for node in same):
            # ListeningOn = 127.0.0.1, 172.29.14.8
            same = [ConfigNode(name, ", ".join(node.text for node in same), (), same[0].source)]
        for node in same:
            value = f" = {_printable(node.text)}" if node.text else ""
            source = f' [Source="{_printable(node.source)}"]' if node.source is not None else ""
            lines.append(f"{_INDENT * level}{_printable(name)}{value}{source}")
            lines += _lines(node.children, level + 1)
    return lines


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)

"""winrm/config as a pretend machine serves it: Get, Enumerate and Pull of its documents (protocol.md 11.1).

Read-only. What is in the documents is written in ``host_config``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collector.simulate import host_refusals
from collector.simulate.host_config import config_document, listener_documents
from collector.simulate.host_nature import HostNature
from collector.simulate.host_refusals import Refusal
from collector.wsman import names
from collector.wsman.answering import write_enumerate_response, write_get_response, write_resource_pull_response
from collector.wsman.asked import EnumerateResource, Get, PullResource

MOST_OPEN = 16
"""Enumerations that were begun and never pulled to their end, which a machine keeps."""


@dataclass(eq=False, slots=True)
class Resources:
    """The documents of one machine, whose listener is at *transport*, *port* and *address*."""

    nature: HostNature
    transport: str
    port: int
    address: str
    new_id: Callable[[], str]
    _open: dict[str, Sequence[str]] = field(default_factory=dict)  # context: the items that are left

    def answer(self, call: Get | EnumerateResource | PullResource, message_id: str) -> str | Refusal:
        """The envelope of the answer, or why there is none."""
        if not call.header.resource_uri.startswith(names.CONFIG):
            return host_refusals.RESOURCE
        ids = {"message_id": message_id, "relates_to": call.header.message_id}
        if isinstance(call, Get):
            document = self._document(call)
            return document if isinstance(document, Refusal) else write_get_response(document, **ids)
        if isinstance(call, PullResource):
            if call.context not in self._open:
                return host_refusals.CONTEXT
            items = self._open.pop(call.context)
            now, context = self._parted(items, call.max_elements)
            return write_resource_pull_response(now, context, ended=not context, **ids)
        if not call.header.resource_uri.lower().endswith("/listener"):
            return host_refusals.ACTION
        now, context = self._parted(self._listeners(), call.max_elements if call.optimized else 0)
        return write_enumerate_response(now, context, ended=not context, optimized=call.optimized, **ids)

    def _document(self, call: Get) -> str | Refusal:
        path = call.header.resource_uri.removeprefix(names.CONFIG).strip("/")
        if path.lower() == "listener":
            wanted = {name.lower(): value.lower() for name, value in call.selectors}
            if wanted != {"address": "*", "transport": self.transport}:
                return host_refusals.SELECTORS
            return self._listeners()[0]
        if call.selectors:
            return host_refusals.SELECTORS
        document = config_document(path, self.nature, transport=self.transport, port=self.port)
        return document if document is not None else host_refusals.RESOURCE

    def _listeners(self) -> Sequence[str]:
        return listener_documents(transport=self.transport, port=self.port, address=self.address)

    def _parted(self, items: Sequence[str], most: int) -> tuple[Sequence[str], str]:
        """The first *most* items, and the context for the others, ``""`` when there are none."""
        if len(items) <= most:
            return items, ""
        context = self.new_id()
        self._open[context] = items[most:]
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]
        return items[:most], context

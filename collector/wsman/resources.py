"""Get, Enumerate, Pull and Release of winrm/config, asked of us: requests in, values out, and how answers are spelled.

What the resource holds is not known here, nor who may ask. Any other resource is none of this room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from collector.wsman import names, sets
from collector.wsman.header import LONGEST_ID, EnvelopeError, require_message_id
from collector.wsman.messages import Fault, Header, ResourceRequest, ResourceResponse, Verb
from collector.wsman.pieces import Opened
from collector.wsman.xml import BLANKS, Element, escaped

LONGEST_CONTEXT = 256
"""Characters of an n:EnumerationContext; ours have 20."""
_N, _W = f"{{{names.ENUMERATION}}}", f"{{{names.WSMAN}}}"
_VERBS: Mapping[str, Verb] = {
    names.GET: "Get",
    names.ENUMERATE: "Enumerate",
    names.PULL: "Pull",
    names.RELEASE: "Release",
}
_BODIES: Mapping[Verb, str] = {"Enumerate": f"{_N}Enumerate", "Pull": f"{_N}Pull", "Release": f"{_N}Release"}
_MODES = ("EnumerateEPR", "EnumerateObjectAndEPR")
_FILTERS = (f"{_W}Filter", f"{_N}Filter")


def of_config(resource: str) -> str | None:
    """The path below winrm/config that the URI *resource* names, folded (``service/auth``); None: another resource.

    Windows compares without regard to case: people type winrm/config/Listener.
    """
    folded, root = resource.rstrip("/").casefold(), names.CONFIG.casefold()
    if folded == root:
        return ""
    return folded.removeprefix(f"{root}/") if folded.startswith(f"{root}/") else None


def read_resource(header: Header, element: Element | None, body: Element | None, opened: Opened) -> ResourceRequest:
    """The request with *header*, whose action is one of ours. *element* is the header, *body* what is in the body.

    Raises ``EnvelopeError``.
    """
    require_message_id(header, element)
    verb = _VERBS[header.action]
    wanted = _BODIES.get(verb)
    if wanted is not None and (body is None or body.tag != wanted):
        raise _refused(header, f"{verb} needs n:{verb} in its body")
    if body is None or wanted is None:
        return ResourceRequest(header, verb, sets.selectors(element, opened.clean))
    return ResourceRequest(
        header,
        verb,
        sets.selectors(element, opened.clean),
        context=_context(header, body, opened.clean),
        max_elements=_number(header, body),
        optimized=body.find(f"{_W}OptimizeEnumeration") is not None,
        mode=_mode(header, body),
        filtered=any(body.find(name) is not None for name in _FILTERS),
    )


def resource_body(reply: ResourceResponse) -> tuple[str, str, str]:
    """Prefixes of the envelope, action and body of *reply*, as Windows writes them."""
    match reply.verb:
        case "Get":
            return "saxwp", names.GET_RESPONSE, "".join(reply.items)
        case "Release":
            return "sanw", names.RELEASE_RESPONSE, ""
        case "Enumerate":
            held = f"<w:Items>{''.join(reply.items)}</w:Items>" if reply.optimized else ""
            end = "<w:EndOfSequence/>" if reply.context is None else ""
            context = f"<n:EnumerationContext>{escaped(reply.context or '')}</n:EnumerationContext>"
            return "sanwp", names.ENUMERATE_RESPONSE, f"<n:EnumerateResponse>{context}{held}{end}</n:EnumerateResponse>"
        case "Pull":
            items = f"<n:Items>{''.join(reply.items)}</n:Items>"
            if reply.context is None:
                return "sanwp", names.PULL_RESPONSE, f"<n:PullResponse>{items}<n:EndOfSequence/></n:PullResponse>"
            context = f"<n:EnumerationContext>{escaped(reply.context)}</n:EnumerationContext>"
            return "sanwp", names.PULL_RESPONSE, f"<n:PullResponse>{context}{items}</n:PullResponse>"
        case _:
            assert_never(reply.verb)


def _refused(
    header: Header, sentence: str, name: str = "w:SchemaValidationError", detail: str | None = None
) -> EnvelopeError:
    return EnvelopeError(sentence, fault=Fault(name, detail), relates_to=header.message_id[:LONGEST_ID] or None)


def _context(header: Header, body: Element, clean: Callable[[str], str]) -> str:
    context = clean((body.findtext(f"{_N}EnumerationContext") or "").strip(BLANKS))
    if len(context) > LONGEST_CONTEXT:
        raise _refused(header, "n:EnumerationContext is none of ours", "n:InvalidEnumerationContext")
    return context


def _number(header: Header, body: Element) -> int:
    """MaxElements, which is 1 when nothing is said ([DSP0226] R8.4-9)."""
    said = body.findtext(f"{_W}MaxElements") or body.findtext(f"{_N}MaxElements")
    if said is None:
        return 1
    said = said.strip(BLANKS)
    if not (said.isascii() and said.isdigit() and 0 < len(said) < 19 and int(said)):
        raise _refused(header, f'MaxElements is "{said[:40]}"; a number of 1 or more would be right')
    return int(said)


def _mode(header: Header, body: Element) -> str:
    """w:EnumerationMode ([DSP0226] 8.7): the items, their addresses, or both."""
    said = (body.findtext(f"{_W}EnumerationMode") or "").strip(BLANKS)
    if said and said not in _MODES:
        raise _refused(header, f'w:EnumerationMode is "{said[:60]}"', "w:UnsupportedFeature", "EnumerationMode")
    return said

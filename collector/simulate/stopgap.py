"""Stopgap until wsman.requests and wsman.responses are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.errors import CollectorError
from collector.wsman import names
from collector.wsman.duration import seconds
from collector.wsman.messages import Ack, EnumerateResponse, Fault, Offer, Reply
from collector.wsman.xml import XmlError, alone, escaped, parse

NS = f'xmlns:s="{names.SOAP}" xmlns:a="{names.ADDRESSING}" xmlns:e="{names.EVENTING}" xmlns:n="{names.ENUMERATION}" xmlns:w="{names.WSMAN}" xmlns:p="{names.MICROSOFT}"'


def _head(to, action, mid, machine, sid, oid, extra, resource="", timeout="PT60.000S"):
    return (f'<s:Envelope {NS}><s:Header><a:To>{escaped(to)}</a:To>{resource}'
        f'<m:MachineID xmlns:m="{names.MACHINE_ID}" s:mustUnderstand="false">{escaped(machine)}</m:MachineID>'
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{names.ANONYMOUS}</a:Address></a:ReplyTo><a:Action s:mustUnderstand="true">{action}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize><a:MessageID>uuid:{mid}</a:MessageID>'
        f'<p:SessionId s:mustUnderstand="false">uuid:{sid}</p:SessionId><p:OperationID s:mustUnderstand="false">uuid:{oid}</p:OperationID><p:SequenceId s:mustUnderstand="false">1</p:SequenceId>'
        f'<w:OperationTimeout>{timeout}</w:OperationTimeout>{extra}</s:Header>')


def write_enumerate(*, to, machine_id, message_id, session_id, operation_id):
    return _head(to, names.ENUMERATE, message_id, machine_id, session_id, operation_id, "", f'<w:ResourceURI s:mustUnderstand="true">{names.SUBSCRIPTION_MANAGER}</w:ResourceURI>') + '<s:Body><n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate></s:Body></s:Envelope>'


def write_heartbeat(*, to, machine_id, message_id, session_id, operation_id, identifier, version=""):
    return _head(to, names.HEARTBEAT, message_id, machine_id, session_id, operation_id, f"<e:Identifier>{identifier}</e:Identifier><w:AckRequested/>") + "<s:Body><w:Events></w:Events></s:Body></s:Envelope>"


def write_events(*, to, machine_id, message_id, session_id, operation_id, identifier, events, bookmark, dropped=None):
    items = "".join(f'<w:Event Action="{names.EVENT_ITEM}"><![CDATA[{e.replace("]]>", "]]]]><![CDATA[>")}]]></w:Event>' for e in events)
    if dropped is not None:
        items += f'<w:Event Action="{names.DROPPED_EVENTS}"><w:DroppedEvents Action="{names.EVENT_ITEM}">{dropped}</w:DroppedEvents></w:Event>'
    return _head(to, names.EVENTS, message_id, machine_id, session_id, operation_id, f"<e:Identifier>{identifier}</e:Identifier><w:Bookmark>{bookmark}</w:Bookmark><w:AckRequested/>") + f"<s:Body><w:Events>{items}</w:Events></s:Body></s:Envelope>"


def write_subscription_end(*, to, machine_id, message_id, session_id, operation_id, identifier, status):
    return _head(to, names.SUBSCRIPTION_END, message_id, machine_id, session_id, operation_id, f"<e:Identifier>{identifier}</e:Identifier><w:AckRequested/>", timeout="PT0.500S") + f"<s:Body><e:SubscriptionEnd><e:Status>{status}</e:Status></e:SubscriptionEnd></s:Body></s:Envelope>"


def write_end(*, message_id, operation_id):
    return f'<s:Envelope {NS}><s:Header><a:To>{names.ANONYMOUS}</a:To><w:ResourceURI s:mustUnderstand="true">{names.FULL_DUPLEX}</w:ResourceURI><a:Action s:mustUnderstand="true">{names.END}</a:Action><a:MessageID>uuid:{message_id}</a:MessageID><p:OperationID>uuid:{operation_id}</p:OperationID></s:Header><s:Body></s:Body></s:Envelope>'


class ResponseError(CollectorError):
    pass


@dataclass(frozen=True)
class Response:
    relates_to: str
    reply: Reply


def read_response(text: str) -> Response:
    try:
        root = parse(text)
    except XmlError as e:
        raise ResponseError(str(e)) from e
    rel = (root.findtext(f"{{{names.SOAP}}}Header/{{{names.ADDRESSING}}}RelatesTo") or "").strip()
    body = root.find(f"{{{names.SOAP}}}Body")
    sub = root.findtext(f".//{{{names.SOAP}}}Subcode/{{{names.SOAP}}}Value")
    if body is not None and body.find(f"{{{names.SOAP}}}Fault") is not None:
        return Response(rel, Fault(sub or "", text="".join(root.find(f".//{{{names.SOAP}}}Reason").itertext()).strip()))
    if root.findtext(f"{{{names.SOAP}}}Header/{{{names.ADDRESSING}}}Action").strip() == names.ACK:
        return Response(rel, Ack())
    return Response(rel, EnumerateResponse([_offer(x) for x in root.iter(f"{{{names.SUBSCRIPTION}}}Subscription")], []))


def _offer(x) -> Offer:
    def w(n): return x.find(f".//{{{names.WSMAN}}}{n}")
    def e(n): return x.find(f".//{{{names.EVENTING}}}{n}")
    o = {i.get("Name"): (i.text or "true") for i in x.iter(f"{{{names.WSMAN}}}Option")}
    nt = e("NotifyTo")
    sizes = [i for i in x.iter(f"{{{names.WSMAN}}}MaxEnvelopeSize")]
    b = w("Bookmark")
    r = w("ConnectionRetry")
    return Offer(o.get("SubscriptionName", ""), nt.findtext(f".//{{{names.EVENTING}}}Identifier").strip(), x.findtext(f"{{{names.SUBSCRIPTION}}}Version").strip()[5:].upper(), "",
        nt.findtext(f"{{{names.ADDRESSING}}}Address").strip(), None, None, alone(w("Filter")[0]), None if b is None else (alone(b[0]) if len(b) else b.text), "ReadExistingEvents" in o,
        o.get("ContentFormat", "Raw"), None, o.get("Compression") == "SLDC", True, seconds(w("Heartbeats").text), seconds(w("MaxTime").text),
        int(w("MaxElements").text) if w("MaxElements") is not None else None, int(sizes[-1].text), seconds(r.text), int(r.get("Total")))

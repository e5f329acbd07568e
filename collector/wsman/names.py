"""The fixed names of the protocol: namespaces, actions, resources, profiles.

Only constants; what they mean is decided by who compares with them. Sources: [MS-WSMV]
2.2.1 and [DSP0226] annex; where they differ from what Windows sends, Windows is right.
"""

from __future__ import annotations

# Namespaces, with the prefixes that Windows writes ------------------------------------------------------------------

SOAP = "http://www.w3.org/2003/05/soap-envelope"  # s
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"  # a
EVENTING = "http://schemas.xmlsoap.org/ws/2004/08/eventing"  # e
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"  # n
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"  # x
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"  # w
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"  # p
CIM_BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"  # b
SUBSCRIPTION = "http://schemas.microsoft.com/wbem/wsman/1/subscription"  # m
MACHINE_ID = "http://schemas.microsoft.com/wbem/wsman/1/machineid"  # m
WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"  # f
PROVIDER_ERROR = "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog"  # t
POLICY = "http://schemas.xmlsoap.org/ws/2002/12/policy"  # c
POLICY_2004 = "http://schemas.xmlsoap.org/ws/2004/09/policy"  # c in [MS-WSMV]'s table; never seen on the wire
AUTHENTICATION = "http://schemas.microsoft.com/wbem/wsman/1/authentication"  # auth
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XML = "http://www.w3.org/XML/1998/namespace"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"  # wsmid
EVENT = "http://schemas.microsoft.com/win/2004/08/events/event"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"  # cfg; also the resource of winrm/config
CONFIG_LISTENER = CONFIG + "/listener"  # cfg of cfg:Listener in some Windows; also the resource

# Actions ------------------------------------------------------------------------------------------------------------

ENUMERATE = ENUMERATION + "/Enumerate"
ENUMERATE_RESPONSE = ENUMERATION + "/EnumerateResponse"
PULL = ENUMERATION + "/Pull"
PULL_RESPONSE = ENUMERATION + "/PullResponse"
RELEASE = ENUMERATION + "/Release"
RELEASE_RESPONSE = ENUMERATION + "/ReleaseResponse"
SUBSCRIBE = EVENTING + "/Subscribe"
SUBSCRIBE_RESPONSE = EVENTING + "/SubscribeResponse"
RENEW = EVENTING + "/Renew"
RENEW_RESPONSE = EVENTING + "/RenewResponse"
GET_STATUS = EVENTING + "/GetStatus"
UNSUBSCRIBE = EVENTING + "/Unsubscribe"
UNSUBSCRIBE_RESPONSE = EVENTING + "/UnsubscribeResponse"
GET = TRANSFER + "/Get"
GET_RESPONSE = TRANSFER + "/GetResponse"
SUBSCRIPTION_END = EVENTING + "/SubscriptionEnd"
EVENTS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events"  # also the delivery mode
EVENT_ITEM = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Event"
HEARTBEAT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Heartbeat"
DROPPED_EVENTS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/DroppedEvents"
ACK = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack"
END = "http://schemas.microsoft.com/wbem/wsman/1/wsman/End"

FAULT_WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
FAULT_ADDRESSING = ADDRESSING + "/fault"
FAULT_EVENTING = EVENTING + "/fault"
FAULT_ENUMERATION = ENUMERATION + "/fault"
FAULT_TRANSFER = TRANSFER + "/fault"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

# Resources, roles, dialects, profiles -------------------------------------------------------------------------------

SUBSCRIPTION_MANAGER = "http://schemas.microsoft.com/wbem/wsman/1/SubscriptionManager/Subscription"
EVENT_LOG = "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog"
FULL_DUPLEX = "http://schemas.microsoft.com/wbem/wsman/1/wsman/FullDuplex"
ANONYMOUS = ADDRESSING + "/role/anonymous"
MODE_PUSH = EVENTING + "/DeliveryModes/Push"
MODE_PUSH_WITH_ACK = "http://schemas.dmtf.org/wbem/wsman/1/wsman/PushWithAck"
MODE_PULL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"
EVENT_QUERY = "http://schemas.microsoft.com/win/2004/08/events/eventquery"
EARLIEST = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest"
SECURITY_PROFILE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/"
MUTUAL_TLS = "https/mutual"
KERBEROS_HTTP = "http/spnego-kerberos"
KERBEROS_HTTPS = "https/spnego-kerberos"

"""Why a Kerberos proof was refused, in sentences that an administrator can act on.

Numbers and names in, one sentence out; pure. Whatever a stranger chose is quoted short and printable by
whoever read it (``tokens``), and no token ever comes here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from collector.auth.tokens import Seen

NTLM_ONLY = (
    "the source offered NTLM only, which proves no machine: it has no Kerberos ticket for this collector. Usual causes:"
    " the policy names an IP address or an alias without a service principal name, or the collector is in the source's"
    " TrustedHosts, or the source is in no domain"
)
NO_KERBEROS = "the source offers no Kerberos in its Negotiate token; only Kerberos proves a machine"
NEITHER = "its Authorization is neither a Kerberos nor a Negotiate token"

_BY_CODE: Mapping[int, str] = {  # RFC 4120 7.5.9
    14: "the ticket {for_name} is of an encryption type that this machine does not permit; see permitted_enctypes in"
    " krb5.conf",
    31: "the keytab's key does not open the ticket {for_name}: the account's password was changed after the keytab was"
    " made, or another account holds that name, or krb5.conf does not permit its encryption type, or the token was"
    " altered. Make the keytab again",
    32: "its ticket {for_name} has expired; the source has to get a new one, and its clock should be right",
    33: "its ticket {for_name} is not valid yet: this machine's clock is behind that of the domain controller",
    34: "its token was shown before (replay); a source makes a new one for each connection",
    35: "the keytab has no key for the ticket {for_name}. Clients ask for HTTP/<the name in the policy>, from Windows"
    " Server 2025 on for HOST/<that name>: add it with setspn and ktpass, in the spelling of the ticket",
    37: "the clocks of the source and of this machine differ by more than five minutes; set both by NTP",
    41: "its token was altered on the way",
    44: "the keytab has no key of the version of the ticket {for_name}: the account's password was changed after the"
    " keytab was made. Make the keytab again; keep the old keys in it for the ten hours that tickets live",
    45: "the keytab has no key of the encryption type of the ticket {for_name}, or it cannot be read any more (gone,"
    " damaged, or not for this user): wef doctor keytab shows which. Make the keytab again with AES keys",
}

WRONG_BINDING = (
    "its token is bound to another TLS connection than this one: something between the source and this collector ends"
    " TLS (a proxy, an inspecting firewall), or somebody passes a token on; cbt_hardening decides"
)
NOT_BOUND = "its token is not bound to this TLS connection, and cbt_hardening is strict"
NOT_MUTUAL = "the source does not ask this collector to prove itself (mutual authentication); Windows always does"
NOT_SEALING = "its session can seal nothing: it asked for no confidentiality and integrity"
NOT_ORDERED = (
    "its session would take sealed bodies twice and in any order: it asked for no sequence detection; Windows always"
    " does"
)
DCE_STYLE = "its session is in DCE style, which WS-Management does not use"
ANONYMOUS = "it showed a ticket of nobody (anonymous)"
BORROWED = (
    "its ticket calls it a machine, and the account that the ticket was issued to has another name: somebody set that"
    " account's userPrincipalName so. Machines come as the name of their own account"
)
RC4 = (
    "its session key is RC4, which has been broken for years. Enable AES for the collector's account and the source"
    " (msDS-SupportedEncryptionTypes), or set allow_rc4 = true"
)


_REPLAY_CACHE = re.compile("rcache|replay cache", re.IGNORECASE)  # the names of MIT's files, and its words


def of_kerberos(code: int, text: str, seen: Seen | None) -> str:
    """Why the library refused. *code* as in ``GssRefusal``, *text* its own words, *seen* what the token is."""
    sentence = _BY_CODE.get(code)
    if sentence is None and _REPLAY_CACHE.search(text):
        return f"this machine cannot note which tokens were shown, so it takes none: {text}. See KRB5RCACHEDIR"
    if sentence is None:
        return f"its token was not accepted: {text}"
    return sentence.format(for_name=_for_name(seen))


def _for_name(seen: Seen | None) -> str:
    """``for HTTP/wec.corp.example@CORP.EXAMPLE (key version 3, aes256-cts-hmac-sha1-96)``."""
    if seen is None or not seen.service:
        return "that it showed"
    version = f"key version {seen.kvno}, " if seen.kvno is not None else ""
    return f"for {seen.service}@{seen.realm} ({version}{seen.enctype})"

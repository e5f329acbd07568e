"""What an administrator can do when we got no ticket, or could not agree with whom we call. Pure: words in, words out.

The library's words are matched, not its numbers: inside SPNEGO it makes the numbers up. They are MIT's, in English
(Python leaves LC_MESSAGES alone), and what is not known is told as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from collector.auth.credentials import Credentials

_KEYTAB, _PASSWORD, _CCACHE = "keytab", "password", "ccache"
_SECRET_REFUSED = re.compile(
    r"Decrypt integrity check failed|Preauthentication failed|Password incorrect|Looping detected", re.IGNORECASE
)
_NOTHING_THERE = re.compile(
    r"No credentials cache found|No Kerberos credentials|Credentials cache .*not found|No credentials were supplied"
    r"|Matching credential not found|Keytab .*nonexistent|Key table entry not found",
    re.IGNORECASE,
)
_PATTERNS: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"Server .*not found in Kerberos database",
            "the realm knows no such service: use the host's full DNS name and no address or alias, and see that the"
            " name is registered (setspn -L HOSTNAME)",
        ),
        (
            r"Client .*not found in Kerberos database",
            "the realm has no such account: check its spelling and its realm, in capitals",
        ),
        (
            r"credentials have been revoked|Client .*locked",
            "the account is disabled, expired or locked; a directory administrator can see which",
        ),
        (r"Password has expired|Password change", "the account's password has expired; set a new one that does not"),
        (
            r"Clock skew|not yet valid|Start time is in the future",
            "this machine's clock and the domain controller's differ by more than five minutes; set both by NTP",
        ),
        (
            r"Ticket expired|credentials? .*expired|expired credential",
            "the ticket has ended: kinit again, or give a keytab, from which it is renewed without you",
        ),
        (
            r"Cannot contact any KDC|unable to reach",
            "no domain controller answers: check the network, port 88, and kdc in krb5.conf or the DNS records"
            " _kerberos._tcp of the realm",
        ),
        (
            r"Cannot find KDC|Realm not local|Cannot resolve|realm unknown",
            "krb5.conf does not say where this realm's KDC is and DNS has no _kerberos._tcp records of it: check the"
            " realm's spelling, in capitals, or add it to krb5.conf",
        ),
        (
            r"default realm|determine realm",
            "write the principal with its realm, such as collector@CORP.EXAMPLE, or set default_realm in krb5.conf",
        ),
        (
            r"configuration file",
            "krb5.conf is missing or cannot be parsed; a domain member has one at /etc/krb5.conf",
        ),
        (
            r"does not match desired name",
            "the cache holds tickets of somebody else; kinit as that principal, or leave principal out",
        ),
        (
            r"encryption type",
            "both sides permit no common encryption: enable AES for the account (msDS-SupportedEncryptionTypes) and"
            " make its password or keytab anew",
        ),
        (r"policy rejects", "the domain controller's policy forbids this account such a ticket"),
        (
            r"Message stream modified|integrity check|Incorrect net address|checksum|Mutual authentication failed"
            r"|Invalid token was supplied",
            "the answer is none that the service with this name could have made: something else answers there",
        ),
    )
]
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        _KEYTAB: "the keytab's key is not the account's: its password was changed after the keytab was made."
        " Make the keytab again",
        _PASSWORD: "the password is not the account's",
        _CCACHE: "the ticket in the cache is of no use to this realm; kinit again",
    }
)


def secret_refused(said: str) -> bool:
    """The KDC does not take our password or key. Each further try counts towards a lockout of the account."""
    return _SECRET_REFUSED.search(said) is not None


def of_ticket(credentials: Credentials, said: str) -> str:
    """What to do when no ticket of ours was had, and the library *said* why."""
    origin = _origin(credentials)
    if secret_refused(said):
        return _REFUSED[origin]
    if _NOTHING_THERE.search(said):
        return _nothing_there(credentials, origin)
    return _of(said)


def of_service(said: str) -> str:
    """What to do when our ticket is good, and the library *said* why the service is not."""
    if secret_refused(said):
        return "the answer was made with another key than the ticket's: something else answers under this name"
    return _of(said)


def _of(said: str) -> str:
    for pattern, remedy in _PATTERNS:
        if pattern.search(said):
            return remedy
    return "wef doctor keytab looks further"


def _origin(credentials: Credentials) -> str:
    if credentials.keytab is not None:
        return _KEYTAB
    return _PASSWORD if credentials.password is not None else _CCACHE


def _nothing_there(credentials: Credentials, origin: str) -> str:
    if origin == _KEYTAB:
        return f"{credentials.keytab} has no key of {credentials.account}, or the realm cannot be asked"
    if credentials.ccache is not None:
        return f"{credentials.ccache} holds no ticket; kinit writes one, and a keytab needs no kinit"
    return "there is no ticket in the default cache (klist shows it); kinit, or give a keytab"

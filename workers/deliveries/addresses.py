"""Which addresses may be sent to. What a name means is looked up once, judged, and then connected to as it was judged.

Otherwise whoever owns a name could let it mean a public address when it is judged and one of ours when it is connected to.
Light: the web asks here when a webhook is made.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

HTTPS_PORT = 443
HTTP_PORT = 80
FIRST_UNPRIVILEGED_PORT = 1024
LONGEST_URL = 2048

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
# Translated, local and withdrawn ranges behind which the address of another network may hide.
_HIDING = tuple(
    map(ipaddress.IPv6Network, ("::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "fec0::/10", "100::/64", "3fff::/20"))
)
# Wholly of special purpose, and not all of it known as such to Python: metadata services and relays live there.
_SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
_SHOWN = re.compile(r"[\x21-\x7e]+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Returns the addresses that a name stands for at this moment.
Resolve = Callable[[str, int], Sequence[str]]


class RefusedError(Exception):
    """An address that nothing is sent to: a stable code, and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads, in parts that need no more parsing: what was judged is what is used."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = HTTPS_PORT if self.scheme == "https" else HTTP_PORT
        return host if self.port == standard else f"{host}:{self.port}"


def parse(url: str, *, allow_private: bool) -> Destination:
    """Take a URL apart.

    Raises:
        RefusedError: it is not one, or not one that anything is sent to.
    """
    if len(url) > LONGEST_URL or not _SHOWN.fullmatch(url) or "\\" in url:
        raise RefusedError(
            "bad-url", f"The URL has blanks, letters beyond ASCII, or more than {LONGEST_URL} characters."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RefusedError("bad-url", "This is not a URL.") from error
    if parts.scheme not in {"https", "http"} or not host:
        raise RefusedError("bad-url", "The URL must begin with https:// and name a host.")
    if parts.scheme == "http" and not allow_private:
        raise RefusedError("not-https", "The URL must begin with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise RefusedError("bad-url", "The URL must have no user, password or fragment.")
    port = port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    if not allow_private and port != HTTPS_PORT and port < FIRST_UNPRIVILEGED_PORT:
        raise RefusedError("bad-port", f"The port must be {HTTPS_PORT}, or {FIRST_UNPRIVILEGED_PORT} or higher.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    written = _as_address(host)
    if written is not None:
        judge(written, allow_private=allow_private)
    return Destination(parts.scheme, host, port, target)


def resolve(host: str, port: int) -> list[str]:
    """Ask the system what a name stands for.

    Raises:
        OSError: it does not know, or could not find out.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def usable(destination: Destination, *, resolve: Resolve = resolve, allow_private: bool) -> list[str]:
    """Return the addresses of a destination, all of which may be connected to.

    Raises:
        RefusedError: one of them may not be: a name that stands for both is a trap.
        OSError: the name is not known.
    """
    found = resolve(destination.host, destination.port)
    if not found:
        raise OSError(f"{destination.host} has no address")
    return [str(judge(ipaddress.ip_address(one), allow_private=allow_private)) for one in found]


def judge(address: Address, *, allow_private: bool) -> Address:
    """Return the address, if it may be connected to.

    Raises:
        RefusedError: it is not one of the public internet, or not one of a single machine.
    """
    if address.is_multicast or address.is_unspecified or _is_broadcast(address):
        raise RefusedError("private-address", f"{address} is not the address of one machine.")
    if not allow_private and not _is_public(address):
        raise RefusedError("private-address", f"{address} is not an address of the public internet.")
    return address


def _is_public(address: Address) -> bool:
    """Tell whether an address is public, and so is the IPv4 address that it stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        # Beside what everybody may route: shared space of carriers (100.64/10) is neither private nor global.
        return address.is_global and not address.is_reserved and not any(address in network for network in _SPECIAL)
    if any(address in network for network in _HIDING):
        return False
    embedded = _embedded(address)
    if embedded is not None:
        return not embedded.is_multicast and _is_public(embedded)
    return address.is_global


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _is_broadcast(address: Address) -> bool:
    return address == ipaddress.IPv4Address("255.255.255.255")


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

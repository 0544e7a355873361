"""Which addresses are sent to: everything that is not one machine of the public internet is refused."""

import ipaddress

import pytest

from workers.deliveries import addresses
from workers.deliveries.addresses import RefusedError

PRIVATE = (
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",  # noqa: S104 - refused, not bound to
    "0.1.2.3",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
)
PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")
HERE = addresses.Destination("https", "receiver.example", 443, "/")


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_stands_for_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(RefusedError):
        addresses.usable(HERE, resolve=lambda _host, _port: [address], allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_name_that_stands_for_a_public_address_is_not(address: str) -> None:
    assert len(addresses.usable(HERE, resolve=lambda _host, _port: [address], allow_private=False)) == 1


def test_one_private_address_among_public_ones_is_a_trap() -> None:
    with pytest.raises(RefusedError):
        addresses.usable(HERE, resolve=lambda _host, _port: ["8.8.8.8", "10.0.0.1"], allow_private=False)


def test_local_use_opens_private_addresses_but_not_those_of_many_machines() -> None:
    assert addresses.usable(HERE, resolve=lambda _host, _port: ["127.0.0.1"], allow_private=True) == ["127.0.0.1"]
    for many in ("224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1"):  # noqa: S104 - as above
        with pytest.raises(RefusedError):
            addresses.judge(ipaddress.ip_address(many), allow_private=True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "not-https"),
        ("ftp://example.com/", "bad-url"),
        ("https://", "bad-url"),
        ("https://user:secret@example.com/", "bad-url"),
        ("https://example.com@127.0.0.1/", "bad-url"),
        ("https://example.com/#part", "bad-url"),
        ("https://example.com:22/", "bad-port"),
        ("https://example.com:99999/", "bad-url"),
        ("https://exa mple.com/", "bad-url"),
        ("https://exämple.com/", "bad-url"),
        ("https://example.com\\@127.0.0.1/", "bad-url"),
        ("https://example.com/\r\nX: 1", "bad-url"),
        ("https://127.0.0.1/", "private-address"),
        ("https://[::1]/", "private-address"),
        ("https://[::ffff:10.0.0.1]/", "private-address"),
        ("https://169.254.169.254/latest/meta-data", "private-address"),
        ("https://example.com/" + "a" * 3000, "bad-url"),
    ],
)
def test_urls_that_nothing_is_sent_to(url: str, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        addresses.parse(url, allow_private=False)
    assert refused.value.code == code


def test_a_url_is_taken_apart_once() -> None:
    where = addresses.parse("https://Example.com:8443/a/b?c=d", allow_private=False)
    assert (where.host, where.port, where.target, where.authority) == (
        "example.com",
        8443,
        "/a/b?c=d",
        "example.com:8443",
    )


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_other_spellings_of_loopback_are_seen_through(host: str) -> None:
    where = addresses.parse(f"https://{host}/", allow_private=False)
    with pytest.raises(RefusedError):
        addresses.usable(where, allow_private=False)

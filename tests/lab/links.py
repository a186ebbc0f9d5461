"""Invitation links taken apart and put together again, as somebody with bad intent would."""

import base64
import hashlib
import ipaddress

PREFIX = "clan://join/"
HEAD = 1 + 32 + 16 + 4 + 16  # version, clan ID, seed, floor version, floor hash


def decode(link):
    text = link.strip()[len(PREFIX):].upper()
    return base64.b32decode(text + "=" * (-len(text) % 8))[:-4]


def encode(body):
    sealed = body + hashlib.blake2b(body, digest_size=32).digest()[:4]
    return PREFIX + base64.b32encode(sealed).decode().rstrip("=")


def with_endpoint(link, address, port=7117):
    """The same invitation, asked of another machine."""
    packed = ipaddress.IPv4Address(address).packed
    return encode(decode(link)[:HEAD] + b"\x01\x00\x04" + packed + port.to_bytes(2, "big") + b"\x00")


def with_seed(link, seed):
    body = decode(link)
    return encode(body[:33] + seed + body[49:])

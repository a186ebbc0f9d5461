"""Writes wireguard_vectors.h: a handshake computed a second time, from the paper, by other libraries."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def H(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(n, key, data):
    prk, t, out = hmac.new(key, data, hashlib.blake2s).digest(), b"", []
    for i in range(1, n + 1):
        t = hmac.new(prk, t + bytes([i]), hashlib.blake2s).digest()
        out.append(t)
    return out


def aead(key, counter, plain, ad):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + counter.to_bytes(8, "little"), plain, ad)


def pub(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() \
        if hasattr(X25519PublicKey, "public_bytes_raw") else _raw(X25519PrivateKey.from_private_bytes(private).public_key())


def _raw(key):
    from cryptography.hazmat.primitives import serialization as s
    return key.public_bytes(s.Encoding.Raw, s.PublicFormat.Raw)


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


si, sr, ei, er, psk = (bytes([n]) * 32 for n in (0x11, 0x22, 0x33, 0x44, 0x55))
tai = bytes.fromhex("400000005f5e100a01020304")
index_i, index_r = 0x01020304, 0x0A0B0C0D

ck = H(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
h = H(H(ck, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), pub(sr))
h, (ck,) = H(h, pub(ei)), kdf(1, ck, pub(ei))
ck, k = kdf(2, ck, dh(ei, pub(sr)))
static = aead(k, 0, pub(si), h)
h = H(h, static)
ck, k = kdf(2, ck, dh(si, pub(sr)))
stamp = aead(k, 0, tai, h)
h = H(h, stamp)
m1 = bytes([1, 0, 0, 0]) + index_i.to_bytes(4, "little") + pub(ei) + static + stamp
m1 += mac(H(b"mac1----", pub(sr)), m1) + bytes(16)

(ck,) = kdf(1, ck, pub(er))
h = H(h, pub(er))
(ck,) = kdf(1, ck, dh(er, pub(ei)))
(ck,) = kdf(1, ck, dh(er, pub(si)))
ck, tau, k = kdf(3, ck, psk)
h = H(h, tau)
empty = aead(k, 0, b"", h)
m2 = bytes([2, 0, 0, 0]) + index_r.to_bytes(4, "little") + index_i.to_bytes(4, "little") + pub(er) + empty
m2 += mac(H(b"mac1----", pub(si)), m2) + bytes(16)
to_r, to_i = kdf(2, ck, b"")
packet = bytes(range(256)) * 5
m4 = bytes([4, 0, 0, 0]) + index_r.to_bytes(4, "little") + (7).to_bytes(8, "little") + aead(to_r, 7, packet, b"")

print("/* A WireGuard handshake by Python's cryptography and hashlib: vectors/wireguard.py. */")
for name, value in (("initiation", m1), ("response", m2), ("key_to_responder", to_r), ("key_to_initiator", to_i),
                    ("packet_7", m4)):
    print(f"static const unsigned char vector_{name}[{len(value)}] = {{")
    for i in range(0, len(value), 16):
        print("    " + " ".join(f"0x{b:02x}," for b in value[i:i + 16]))
    print("};")

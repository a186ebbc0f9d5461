#!/usr/bin/env python3
"""Second implementation of the XXpsk0 handshake and of every key derivation, sharing no line with core/noise.

    make_vectors.py          writes xxpsk0.json and keys.json beside itself
    make_vectors.py --check  computes them again and compares
"""
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORDS_C = HERE.parents[2] / "core" / "noise" / "words.c"
P = 2**255 - 19


def b2(size, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=size).digest()


# --- X25519 (RFC 7748) ---
def x25519(k, u=(9).to_bytes(32, "little")):
    k = bytearray(k)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k, x1 = int.from_bytes(k, "little"), int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# --- Ed25519 public keys (RFC 8032) ---
D = -121665 * pow(121666, P - 2, P) % P


def ed_add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def ed25519_public(seed):
    h = bytearray(hashlib.sha512(seed).digest()[:32])
    h[0] &= 248
    h[31] = h[31] & 127 | 64
    k = int.from_bytes(h, "little")
    y = 4 * pow(5, P - 2, P) % P
    x = pow((y * y - 1) * pow(D * y * y + 1, P - 2, P), (P + 3) // 8, P)
    if (x * x * (D * y * y + 1) - (y * y - 1)) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    point, out = (x if x % 2 == 0 else P - x, y), (0, 1)
    while k:
        if k & 1:
            out = ed_add(out, point)
        point, k = ed_add(point, point), k >> 1
    return (out[1] | (out[0] & 1) << 255).to_bytes(32, "little")


# --- ChaCha20-Poly1305 (RFC 8439) ---
def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    w = s[:]

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = (w[x] + w[y]) & 0xFFFFFFFF
            v = w[z] ^ w[x]
            w[z] = (v << n | v >> (32 - n)) & 0xFFFFFFFF

    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                  (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*q)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(w, s)))


def seal(key, n, ad, plain):
    nonce = bytes(4) + struct.pack("<Q", n)
    out = b""
    for i in range(0, len(plain), 64):
        block = chacha_block(key, 1 + i // 64, nonce)
        out += bytes(a ^ b for a, b in zip(plain[i:i + 64], block))
    otk = chacha_block(key, 0, nonce)[:32]
    r = int.from_bytes(otk[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    data = ad + bytes(-len(ad) % 16) + out + bytes(-len(out) % 16) + struct.pack("<QQ", len(ad), len(out))
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return out + ((acc + int.from_bytes(otk[16:], "little")) % 2**128).to_bytes(16, "little")


# --- Noise_XXpsk0, told as one straight line: both sides' view is the same ---
def hkdf(ck, ikm, count):
    temp, out, last = hmac.new(ck, ikm, hashlib.blake2b).digest(), [], b""
    for i in range(count):
        last = hmac.new(temp, last + bytes([i + 1]), hashlib.blake2b).digest()
        out.append(last)
    return out


class Symmetric:
    def __init__(self, name):
        self.h = name.ljust(64, b"\0") if len(name) <= 64 else b2(64, name)
        self.ck, self.k, self.n = self.h, None, 0

    def mix_hash(self, data):
        self.h = b2(64, self.h, data)

    def mix_key(self, ikm):
        self.ck, k = hkdf(self.ck, ikm, 2)
        self.k, self.n = k[:32], 0

    def mix_psk(self, psk):
        self.ck, t, k = hkdf(self.ck, psk, 3)
        self.mix_hash(t)
        self.k, self.n = k[:32], 0

    def encrypt(self, plain):
        out = seal(self.k, self.n, self.h, plain)
        self.n += 1
        self.mix_hash(out)
        return out

    def ephemeral(self, secret):
        public = x25519(secret)
        self.mix_hash(public)
        self.mix_key(public)  # psk mode
        return public


def fixed(label, size=32):
    return b2(size, b"clan test " + label.encode())


def xxpsk0():
    name = b"Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"
    prologue, psk = fixed("prologue", 50), fixed("psk")
    s_i, s_r, e_i, e_r = (fixed(x) for x in ("static i", "static r", "ephemeral i", "ephemeral r"))
    payloads = [b"", b"from the door", fixed("record", 60), b"first", b"", b"third" * 30]
    st = Symmetric(name)
    st.mix_hash(prologue)
    messages = []
    # -> psk, e
    st.mix_psk(psk)
    m = st.ephemeral(e_i)
    messages.append(m + st.encrypt(payloads[0]))
    # <- e, ee, s, es
    m = st.ephemeral(e_r)
    st.mix_key(x25519(e_r, x25519(e_i)))
    m += st.encrypt(x25519(s_r))
    st.mix_key(x25519(s_r, x25519(e_i)))
    messages.append(m + st.encrypt(payloads[1]))
    # -> s, se
    m = st.encrypt(x25519(s_i))
    st.mix_key(x25519(s_i, x25519(e_r)))
    messages.append(m + st.encrypt(payloads[2]))
    k_i, k_r = (k[:32] for k in hkdf(st.ck, b"", 2))
    for i, n in ((3, 0), (4, 0), (5, 1)):
        messages.append(seal(k_r if i % 2 else k_i, n, b"", payloads[i]))
    v = {"protocol_name": name.decode(), "init_prologue": prologue, "resp_prologue": prologue,
         "init_psks": [psk], "resp_psks": [psk], "init_static": s_i, "resp_static": s_r,
         "init_ephemeral": e_i, "resp_ephemeral": e_r, "handshake_hash": st.h,
         "messages": [{"payload": p, "ciphertext": c} for p, c in zip(payloads, messages)]}
    return {"source": "make_vectors.py", "vectors": [v]}


# --- derivations ---
def kdf(root, number):
    return hashlib.blake2b(digest_size=32, key=root, salt=struct.pack("<Q", number),
                           person=b"clankeys").digest()


def word_table():
    return re.findall(r'"([a-z]+)",', WORDS_C.read_text())


def words(bits, count):
    table = word_table()
    assert len(table) == 2048
    n = int.from_bytes(bits, "big") >> (len(bits) * 8 - 11 * count)
    return "-".join(table[n >> 11 * (count - 1 - i) & 2047] for i in range(count))


def keys():
    root, clan, machine = fixed("root"), fixed("clan"), fixed("machine")
    seed, entropy, record = fixed("seed", 16), fixed("entropy", 16), fixed("record", 60)
    out = {"root": root, "clan": clan, "machine": machine, "seed": seed, "entropy": entropy,
           "record": record, "hash": fixed("hash", 64)}
    out["identity_seed"] = kdf(root, 0)
    out["identity_public"] = ed25519_public(out["identity_seed"])
    for purpose, name in ((1, "link"), (2, "control"), (3, "door"), (4, "wireguard")):
        for counter in (1, 2):
            secret = kdf(root, purpose << 32 | counter)
            out[f"{name}{counter}_secret"], out[f"{name}{counter}_public"] = secret, x25519(secret)
    for counter in (1, 2):
        out[f"plugin{counter}"] = b2(32, b"clan plugin secret v1", kdf(root, 16 << 32 | counter), b"tor\0", b"tor-2")
    sign = b2(32, b"clan invite sign v1", seed)
    out["invite_sign_seed"], pk = sign, ed25519_public(sign)
    out["invite_public"], out["invite_x25519"] = pk, x25519(b2(32, b"clan invite onion v1", seed))
    out["invite_onion"] = b2(32, b"clan invite onion v1", seed)
    out["invite_id"] = invite_id = b2(16, b"clan invite id v1", pk)
    out["phone_seed"] = b2(32, b"clan phone identity v1", kdf(root, 17 << 32 | 1), invite_id)
    out["invite_psk"] = b2(32, b"clan invite psk v1", clan, pk)
    for name in ("link", "control", "door"):
        out[f"prologue_{name}"] = b"clan noise v1" + name.encode() + clan + machine
    out["join_proof"] = b"clan join proof v1" + clan + invite_id + b2(32, record)
    out["fetch_proof"] = b"clan fetch proof v1" + clan + invite_id + out["hash"]
    out["machine_address"] = b"\xfd" + clan[:5] + machine[:10]
    out["service_address"] = b"\xfd" + clan[:5] + b2(32, b"clan service v1", b"files")[:10]
    out["resolver_address"] = b"\xfd" + clan[:5] + bytes(8) + b"\0\x53"
    out["admin_seed"] = b2(32, b"clan admin v1", entropy)
    text = {"words_" + p: words(b2(32, b"clan words v1", p.encode(), clan, machine), 6)
            for p in ("clan", "machine", "admin")}
    check = b2(32, b"clan recovery v1", entropy)[0] & 0xF0
    text["recovery"] = words(entropy + bytes([check]), 12)
    table = b"".join(w.encode().ljust(9, b"\0") for w in word_table())
    return {**out, **text, "word_list": b2(16, table)}


def main():
    assert x25519(bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                  bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
                  ).hex().startswith("c3da55379de9c690")  # RFC 7748, 5.2
    same = True
    for name, value in (("xxpsk0.json", xxpsk0()), ("keys.json", keys())):
        text = json.dumps(value, indent=1, default=bytes.hex) + "\n"
        if "--check" in sys.argv[1:]:
            if (HERE / name).read_text() != text:
                print(f"{name} differs from what this script computes")
                same = False
        else:
            (HERE / name).write_text(text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

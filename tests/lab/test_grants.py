"""What plugins may do: granted with one question, taken back, bound to a file or to who signed it."""

import base64
import ctypes
import hashlib
import os
import re
import shutil
import signal

import pytest

import lab as L

sodium = ctypes.CDLL("libsodium.so.23")
TCP = "tcp-noise: {allow: [net.listen, \"net.connect:lan\"]} # mine"
BASE = f"version: 1\nplugins:\n  {TCP}\nlisten: {{tcp-noise: [\"0.0.0.0:7117\"]}}\n"


class Key:
    """A minisign key pair, and signatures as the program makes them."""

    def __init__(self, fill):
        self.id, self.public, self.secret = bytes([fill] * 8), ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        sodium.crypto_sign_seed_keypair(self.public, self.secret, bytes([fill] * 32))
        self.text = base64.b64encode(b"Ed" + self.id + self.public.raw).decode()

    def sign(self, path, comment="made by a test"):
        def one(data):
            out = ctypes.create_string_buffer(64)
            sodium.crypto_sign_detached(out, None, data, ctypes.c_ulonglong(len(data)), self.secret)
            return out.raw

        sig = one(hashlib.blake2b(open(path, "rb").read(), digest_size=64).digest())
        box = base64.b64encode(b"ED" + self.id + sig).decode()
        outer = base64.b64encode(one(sig + comment.encode())).decode()
        with open(f"{path}.minisig", "w") as f:
            f.write(f"untrusted comment: x\n{box}\ntrusted comment: {comment}\n{outer}\n")


def asks_more(data, word):
    """The plugin with one more permission in its note."""
    at = data.index(b"Clan\0\0\0\0") + 8
    count = int.from_bytes(data[at + 18 : at + 20], "little")
    place = at + 312 + 48 * count
    return data[: at + 18] + (count + 1).to_bytes(2, "little") + data[at + 20 : place] + word.encode().ljust(48, b"\0") + data[place + 48 :]


@pytest.fixture
def nas(lab):
    nas = lab.machine("nas", start=False)
    nas.plugins = f"{nas.dir}/plugins"
    shutil.copytree(next(p for p in (f"{L.PREFIX}/{d}/clan/plugins-0" for d in ("lib", "lib/x86_64-linux-gnu", "lib64")) if os.path.isdir(p)), nas.plugins)
    nas.yaml = f"{nas.dir}/etc/machine.yaml"
    nas.so = f"{nas.plugins}/files.so"
    nas.plugin = lambda verb, *a, **kw: nas.clan("plugin", verb, *a, *(() if verb == "revoke" else ("--plugin-dir", nas.plugins)), **kw)
    nas.shown = lambda: nas.json("plugin", "show", "files", "--plugin-dir", nas.plugins)[-1]
    nas.row = lambda: next(p for p in nas.json("plugin", "list", "--plugin-dir", nas.plugins)[-1]["plugins"] if p["plugin"] == "files")
    put(nas.yaml, BASE)
    assert nas.clan("machine", "apply", "--yes", "--plugin-dir", nas.plugins).returncode == 0
    nas.start("--plugin-dir", nas.plugins, apply=False)
    L.up(nas)
    nas.clan("enable", "files", "--on", "nas", "--yes")
    return nas


def put(path, content):
    with open(f"{path}.new", "wb" if isinstance(content, bytes) else "w") as f:
        f.write(content)
    os.rename(f"{path}.new", path)


def read(path):
    return open(path, "rb").read()


def is_up(nas):
    L.wait_for(lambda: nas.row()["state"] == "up" and not nas.row()["why"], limit=30, what="files is up")


def restart(nas):
    """The host is loaded anew: killed, and started by the warden from what lies there now."""
    for pid in nas.pids("^clan-host files"):
        os.kill(pid, signal.SIGKILL)


def refused(nas, why):
    restart(nas)
    L.wait_for(lambda: why in nas.clan("services").stdout or why in nas.log(), limit=30, what=why)
    assert not nas.pids("^clan-host files")


def grant(nas):
    out = nas.plugin("grant", "files", "--yes", "--hash", nas.shown()["hash"][:16]).stdout
    is_up(nas)
    return out


def test_one_question(nas):
    assert nas.shown()["granted_to"] == "nothing" and nas.row()["state"] == "not granted"
    # nobody there to ask; yes in advance only to a file that somebody looked at
    before = read(nas.yaml)
    assert "nobody can be asked" in nas.plugin("grant", "files", check=False).stderr
    result = nas.plugin("grant", "files", "--yes", check=False)
    assert result.returncode and "--yes needs --hash" in result.stderr and "--hash" in result.stderr
    assert nas.plugin("grant", "files", "--yes", "--hash", "0123456789", check=False).returncode == 6
    out = nas.plugin("grant", "files", "--dry-run").stdout
    assert "It asks to:" in out and "keep files in a directory of its own (fs.state). It never sees" in out and "+  files:" in out, out
    assert read(nas.yaml) == before and nas.shown()["granted_to"] == "nothing"
    # one question, and it runs
    assert "granted, and taken over" in grant(nas)
    assert open(nas.yaml).read() == BASE.replace(TCP, TCP + "\n  files: {allow: [fs.state, net.service, \"exec:lighttpd\"]}")
    shown = nas.shown()
    assert shown["granted_to"] == "this file" and all(a["granted"] for a in shown["asks"])
    assert "granted already" in nas.plugin("grant", "files", "--dry-run").stdout
    # taken back: a word, then all
    nas.plugin("revoke", "files", "exec:lighttpd", "--yes")
    assert "exec:lighttpd" not in open(nas.yaml).read() and nas.shown()["granted"] == ["fs.state", "net.service"]
    out = nas.plugin("grant", "files", "--dry-run").stdout
    assert re.search(r"It asks in addition to:\n.*lighttpd", out) and "As before, it may:" in out, out
    nas.plugin("revoke", "files", "--yes")
    assert open(nas.yaml).read() == BASE
    L.wait_for(lambda: not nas.pids("^clan-host files"), what="files is ended")
    assert nas.row()["state"] == "not granted" and nas.plugin("revoke", "files", "--yes", check=False).returncode == 2


def test_changed_files_are_questions(nas):
    grant(nas)
    good, tcp = read(nas.so), read(f"{nas.plugins}/tcp-noise.so")
    # the same permissions, other bytes, nobody signed them; and another plugin changed meanwhile
    put(nas.so, good + b"\0")
    put(f"{nas.plugins}/tcp-noise.so", tcp + b"\0")
    assert nas.shown()["granted_to"] == "another file"
    refused(nas, "another file than the owner agreed to")
    out = nas.clan("machine", "apply", "--dry-run", "--plugin-dir", nas.plugins).stdout
    assert "another file than the one before" in out, out
    assert "It asks for nothing in addition" in grant(nas)
    tcp_row = nas.json("plugin", "show", "tcp-noise", "--plugin-dir", nas.plugins)[-1]
    assert tcp_row["granted_to"] == "another file"  # not agreed to in passing
    # more permissions: what was granted stays, the rest is the question
    put(nas.so, asks_more(good, "net.connect:lan"))
    out = nas.plugin("grant", "files", "--dry-run").stdout
    assert re.search(r"It asks in addition to:\n.*local network \(net.connect:lan\)", out), out
    assert "net.connect:lan" in grant(nas) and "net.connect:lan" in nas.shown()["granted"]
    # what nobody enforces can be asked for, not granted
    put(nas.so, asks_more(good, "kvm"))
    out = grant(nas)
    assert "It no longer asks for net.connect:lan" in out and "net.connect:lan" not in open(nas.yaml).read().split("files:")[1].split("\n")[0]
    assert "Left out: kvm is not available in this version" in out and "kvm" not in nas.shown()["granted"], out
    assert nas.plugin("grant", "files", "kvm", "--dry-run", check=False).returncode == 2


def test_signed(nas):
    anna, eve = Key(5), Key(6)
    good = read(nas.so)
    put(nas.yaml, BASE + f"signatures: {{keys: {{anna: \"{anna.text}\"}}}}\n")
    result = nas.plugin("grant", "files", "--signer", "anna", "--yes", check=False)
    assert result.returncode, "nobody signed it"
    eve.sign(nas.so)
    assert nas.shown()["signature"]["state"] == "unknown"
    assert nas.plugin("grant", "files", "--signer", "anna", "--yes", check=False).returncode
    anna.sign(nas.so, "files 1")
    nas.plugin("grant", "files", "--signer", "anna", "--yes")
    is_up(nas)
    shown = nas.shown()
    assert shown["granted_to"] == "its signer" and shown["signature"]["by"] == "anna" and shown["signature"]["comment"] == "files 1"
    # a new version with the same permissions runs without a question
    put(nas.so, good + b"\0")
    anna.sign(nas.so, "files 2")
    old = nas.pids("^clan-host files")
    restart(nas)
    L.wait_for(lambda: set(nas.pids("^clan-host files")) - set(old), what="the new version")
    is_up(nas)
    # with more permissions it runs with the old ones, and asks
    put(nas.so, asks_more(good, "net.connect:lan"))
    anna.sign(nas.so, "files 3")
    restart(nas)
    L.wait_for(lambda: nas.row()["state"] == "up" and "also asks for net.connect:lan" in nas.row()["why"], limit=30, what="the question")
    assert "net.connect:lan" not in nas.shown()["granted"]
    assert "It asks in addition to:" in nas.plugin("grant", "files", "--dry-run").stdout
    # tampered with; signed by another key; not signed
    put(nas.so, good + b"\1")
    refused(nas, "not signed by whom the owner trusts")
    eve.sign(nas.so)
    assert nas.shown()["granted_to"] == "another file"
    refused(nas, "not signed by whom the owner trusts")
    anna.sign(nas.so)
    is_up(nas)  # it is tried again


def test_signatures_required(nas):
    anna = Key(5)
    grant(nas)
    text = open(nas.yaml).read() + f"signatures: {{require: yes, keys: {{anna: \"{anna.text}\"}}}}\n"
    put(nas.yaml, text)
    anna.sign(f"{nas.plugins}/tcp-noise.so")
    out = nas.clan("machine", "apply", "--yes", "--plugin-dir", nas.plugins).stdout
    assert "files cannot be used, nothing is granted" in out and "Signed by anna." in out, out
    L.wait_for(lambda: not nas.pids("^clan-host files"), what="the unsigned one is ended")
    assert nas.row()["state"] == "not granted"
    assert nas.plugin("grant", "files", "--yes", "--hash", nas.shown()["hash"][:16], check=False).returncode == 3
    anna.sign(nas.so)
    nas.clan("machine", "apply", "--yes", "--plugin-dir", nas.plugins)
    is_up(nas)
    os.unlink(f"{nas.so}.minisig")  # the file stays as it was
    refused(nas, "not signed by whom the owner trusts")

"""A plugin with api.session: each person has an address of loopback, nobody else reaches it, and it asks nothing by itself."""

import os
import shutil
import signal

import pytest

import lab as L

BRIDGE = os.environ.get("CLAN_PEOPLE_BRIDGE")
OWNER, OTHER = 4242, 4343
PERM = 7  # CLAN_E_PERM
YAML = """version: 1
owner: "4242"
plugins:
  tcp-noise: {allow: [net.listen, "net.connect:lan"]}
  people-bridge: {allow: [api.session]}
listen: {tcp-noise: ["0.0.0.0:7117"]}
"""

# Connects as a user; prints the first line, then what the core answers to "status" in hex.
CALL = r"""
import os, socket, sys
uid, address = int(sys.argv[1]), sys.argv[2]
os.setgid(uid) or os.setuid(uid)
s = socket.socket()
s.settimeout(5)
if len(sys.argv) > 3:
    s.bind((sys.argv[3], 0))
try:
    s.connect((address, 7180))
except OSError as e:
    sys.exit(type(e).__name__)
f = s.makefile("rb")
print(f.readline().decode().strip())
s.sendall(b"\0\2\x0a\0")
size = int.from_bytes(f.read(2), "big")
print(f.read(size).hex())
"""
# Answers at an address that is another's, until it is killed.
SQUAT = r"""
import os, socket, sys
os.setgid(4343) or os.setuid(4343)
s = socket.socket()
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
print("ready", flush=True)
while True:
    s.accept()[0].sendall(b"uid 0 at " + sys.argv[1].encode() + b" of 9\n")
"""


@pytest.fixture
def nas(lab):
    if not BRIDGE:
        pytest.skip("CLAN_PEOPLE_BRIDGE names what the tests' build made")
    nas = lab.machine("nas", start=False)
    installed = next(p for p in (f"{L.PREFIX}/{d}/clan/plugins-0" for d in ("lib", "lib/x86_64-linux-gnu", "lib64")) if os.path.isdir(p))
    nas.plugins = f"{nas.dir}/plugins"
    shutil.copytree(installed, nas.plugins)
    shutil.copy(BRIDGE, f"{nas.plugins}/people-bridge.so")
    nas.sh(f"mount --bind {nas.plugins} {installed}")
    with open(f"{nas.dir}/etc/machine.yaml", "w") as f:
        f.write(YAML)
    nas.start()
    L.up(nas)
    nas.at = L.people(nas)
    L.wait_for(lambda: call(nas, 0, nas.at(1)).returncode == 0, what="the bridge is up")
    return nas


def call(m, uid, address, *source):
    return m.run("/usr/bin/python3", "-c", CALL, str(uid), address, *source, check=False)


def refused(m, uid, address, *source):
    result = call(m, uid, address, *source)
    assert result.returncode == 1 and "ConnectionRefusedError" in result.stderr, (result.stdout, result.stderr)


def answered(m, uid, address, people=2):
    """The owner of the address is told; the answer to a request without a session is CLAN_E_PERM."""
    line, answer = call(m, uid, address).stdout.split("\n")[:2]
    assert line == f"uid {uid} at {address}:7180 of {people}", line
    return bytes.fromhex(answer)


def test_each_person_has_an_address(nas):
    for uid, address in ((0, nas.at(1)), (OWNER, nas.at(2))):
        answer = answered(nas, uid, address)
        # Answer{last, error{status}}
        assert answer[:2] == b"\x08\x01" and answer[2] == 0x12 and answer[4] == 0x08, answer
        assert answer[5] == PERM, "the plugin asked for the clan without a session"
        assert b"home" not in answer
    # the refusal names nobody and comes at once: a reset, not silence
    for uid in (OTHER, OWNER):
        refused(nas, uid, nas.at(1))
    for uid in (OTHER, 0):
        refused(nas, uid, nas.at(2))
    refused(nas, OTHER, nas.at(2), nas.at(2))
    # a plugin's user is nobody either, nor is another network namespace of this computer
    refused(nas, os.stat(f"/proc/{nas.pids('^clan-host tcp-noise')[0]}").st_uid, nas.at(2))
    far = nas.run("unshare", "-n", "bash", "-c", f'ip link set lo up; exec /usr/bin/python3 -c "$0" {OWNER} {nas.at(2)}', CALL, check=False)
    assert far.returncode == 1 and "ConnectionRefusedError" in far.stderr, far.stderr


def test_nobody_else_answers_there(nas):
    """Cookies of an address are sent to all its ports: no other user's page may be there."""
    squatter = nas.popen("/usr/bin/python3", "-c", SQUAT, nas.at(2), "8000", stdout=-1)
    assert squatter.stdout.readline() == "ready\n"
    script = f"import os, socket; os.setuid(4242); s = socket.socket(); s.settimeout(1); s.connect(('{nas.at(2)}', 8000)); print('in')"
    assert "in" not in nas.run("/usr/bin/python3", "-c", script, check=False).stdout
    squatter.kill()
    squatter.wait()
    answered(nas, OWNER, nas.at(2))


def test_it_comes_again_and_goes(nas):
    """The plugin dies, the core dies, the owner says something else, the clan goes."""
    old = nas.pids("^clan-host people-bridge")
    os.kill(old[0], signal.SIGKILL)
    L.wait_for(lambda: call(nas, OWNER, nas.at(2)).returncode == 0, what="a new host")
    host = nas.pids("^clan-host people-bridge")
    assert host != old
    os.kill(nas.pids("^clan-core")[0], signal.SIGKILL)
    L.wait_for(lambda: call(nas, OWNER, nas.at(2)).stdout.count("\n") == 2, what="a new core answers the old host")
    assert nas.pids("^clan-host people-bridge") == host
    # one more person
    with open(f"{nas.dir}/etc/machine.yaml", "w") as f:
        f.write(YAML.replace("plugins:", "local_users: [\"4343\"]\nplugins:"))
    nas.clan("machine", "apply", "--yes")
    L.wait_for(lambda: call(nas, OTHER, nas.at(3)).returncode == 0, what="the new person's listener")
    answered(nas, OTHER, nas.at(3), people=3)
    refused(nas, OTHER, nas.at(2))
    refused(nas, OWNER, nas.at(3))
    # taken back: nothing runs, and the rules go with the clan
    with open(f"{nas.dir}/etc/machine.yaml", "w") as f:
        f.write(YAML.replace("  people-bridge: {allow: [api.session]}\n", ""))
    nas.clan("machine", "apply", "--yes")
    L.wait_for(lambda: not nas.pids("^clan-host people-bridge"), what="the bridge is ended")
    refused(nas, OWNER, nas.at(2))
    nas.clan("leave", "--yes")
    L.wait_for(lambda: "clan_people" not in nas.sh("nft list tables").stdout, what="the rules are gone")

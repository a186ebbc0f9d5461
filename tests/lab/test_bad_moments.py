"""Processes that end, machines that fall and links that break in the middle of joining and removing."""

import os
import random
import re
import signal
import time

import lab as L

# What the warden says of a process that did not end by our hand (SIGKILL, SIGTERM).
CRASHED = re.compile(r"AddressSanitizer|runtime error|assert|signal (3|4|6|7|8|11)\b|\] (exited|ended) with status [1-9]")


def nobody_crashed(lab):
    for m in lab.machines:
        found = [line for line in m.log().splitlines() if CRASHED.search(line)]
        assert not found, f"{m.name}: " + "\n".join(found[:5])


def kill_one(machine, pattern, rng):
    pids = machine.pids(pattern)
    if pids:
        try:
            os.kill(rng.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass


def begin_join(m, link, words):
    p = m.popen(f"{L.PREFIX}/bin/clan", "join", "-", "--yes", "--fingerprint", words, stdin=-1, stdout=-1, stderr=-1)
    p.stdin.write(link + "\n")
    p.stdin.close()
    p.stdin = None
    return p


def joined(m):
    return m.clan("--json", "status", check=False).returncode == 0 and m.standing() == "member"


def test_killed_while_joining(lab):
    """Whatever dies on either side at whatever moment: trying again works, and nobody crashes."""
    rng = random.Random(7)
    nas, guest = lab.machine("nas"), lab.machine("guest")
    L.up(nas)
    words = L.words(nas)
    for _ in range(8):
        link = L.invite(nas)
        p = begin_join(guest, link, words)
        time.sleep(rng.random() * 0.6)  # the moment is what is tried here
        who = rng.choice([nas, guest, guest])
        kill_one(who, rng.choice(["^clan-core", "^clan-link", "^clan-host tcp-noise", "^clan join", "^clan-keeper"]), rng)
        try:
            p.communicate(timeout=60)
        except Exception:
            p.kill()
            p.communicate()
            raise
        L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="nas is back")
        if os.path.exists(f"{guest.dir}/run/home.sock") or guest.clan("status", check=False).returncode == 0:
            L.wait_for(lambda: joined(guest), limit=60, what="the guest is a member")
            guest.clan("leave", "--yes", check=False)
            L.wait_for(lambda: guest.clan("status", check=False).returncode != 0, what="the guest has left")
    L.join(guest, L.invite(nas), words)
    L.wait_for(lambda: joined(guest), limit=60, what="the guest is a member")
    nobody_crashed(lab)


def test_removed_while_things_die(lab):
    """A removal is obeyed by everybody, also where link and core are killed around it."""
    rng = random.Random(11)
    machines = [lab.machine(n) for n in ("nas", "laptop", "phone")]
    nas, laptop, phone = machines
    L.up(nas)
    L.admit(nas, laptop)
    L.admit(nas, phone)
    for m in (laptop, phone):
        L.wait_for(lambda m=m: joined(m), limit=60, what="member")
    address = phone.json("status")[-1]["address"]
    p = nas.popen(f"{L.PREFIX}/bin/clan", "remove", "phone", "--yes", stdout=-1, stderr=-1)
    for _ in range(8):
        time.sleep(rng.random() * 0.15)  # the moments are what is tried here
        kill_one(rng.choice(machines), rng.choice(["^clan-core", "^clan-link", "^clan-host tcp-noise"]), rng)
    p.communicate(timeout=120)
    L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="nas is back")
    if "phone" in [m.get("name") for m in nas.json("machines") if m.get("standing") == "member"]:
        nas.clan("remove", "phone", "--yes", timeout=120)
    for m in (nas, laptop):
        L.wait_for(lambda m=m: m.sh(f"ping -6 -c 1 -W 1 {address}", check=False).returncode != 0, what="phone is out")
    L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0, limit=60, what="the others are together")
    nobody_crashed(lab)

"""Twelve machines come to one door at one time by one invitation, and nobody is turned away."""

import concurrent.futures
import subprocess

import lab as L

GUESTS = 12
# in the door's own mount namespace: once asked to, counts, and takes as long as on a computer that is very busy
SLOW = """cp /usr/sbin/nft {dir}/nft
printf '#!/bin/sh\\nif [ -e {dir}/runs ]; then echo run >> {dir}/runs; sleep 2; fi\\nexec {dir}/nft "$@"\\n' > {dir}/slow
chmod 755 {dir}/slow
mount --bind {dir}/slow /usr/sbin/nft"""


def runs(m):
    return len(open(f"{m.dir}/runs").readlines())


def test_a_crowd_at_a_door_with_a_slow_firewall(lab):
    nas = lab.machine("nas", start=False)
    nas.sh(SLOW.format(dir=nas.dir))
    nas.start()
    L.up(nas)
    link, words = L.invite(nas, "--uses", str(GUESTS)), L.words(nas)
    guests = [lab.machine(f"guest{i}") for i in range(GUESTS)]
    open(f"{nas.dir}/runs", "w").close()
    joins = [
        m.popen(f"{L.PREFIX}/bin/clan", "join", "-", "--yes", "--fingerprint", words,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for m in guests
    ]
    with concurrent.futures.ThreadPoolExecutor(GUESTS) as pool:
        texts = list(pool.map(lambda p: p.communicate(link + "\n", timeout=200)[0], joins))
    for p, text in zip(joins, texts):
        assert p.returncode == 0, text
    for m in guests:
        L.wait_for(lambda: m.ping("nas", check=False).returncode == 0, limit=60, what=f"the way from {m.name} to nas")
    # what changed while nft ran went into its next run
    assert runs(nas) <= GUESTS // 2
    assert nas.json("invite", "list")[-1]["invitations"][0]["used"] == GUESTS

"""clan netcheck names each fault that a test makes, and says ok where nothing is wrong."""

import os
import signal

import lab as L


def build(lab):
    nas, laptop = lab.machine("nas"), lab.machine("laptop")
    L.up(nas)
    L.admit(nas, laptop)
    for a, b in ((nas, laptop), (laptop, nas)):
        L.wait_for(lambda a=a, b=b: a.ping(b.name, check=False).returncode == 0, what=f"{b.name} from {a.name}")
    return nas, laptop


def netcheck(m):
    """The rows by name, and the exit code that belongs to them."""
    result = m.clan("--json", "netcheck", check=False)
    o = L.json.loads(result.stdout)
    rows = {r["check"]: r for r in o["checks"]}
    assert result.returncode == (1 if o["worst"] == "fail" else 0), result
    assert all(r["remedy"] for r in rows.values() if r["state"] in ("warn", "fail")), rows
    return rows


def states(m):
    return {name: row["state"] for name, row in netcheck(m).items()}


def table(m):
    return m.sh("nft list tables | grep -o 'clan_[0-9a-f]*$' | head -1").stdout.strip()


def test_faults(lab):
    nas, laptop = build(lab)
    for m in (nas, laptop):
        L.wait_for(lambda m=m: states(m)["firewall"] == "ok", what=f"the rules of {m.name}")
        bad = {k: v for k, v in states(m).items() if v != "ok"}
        # all of the lab is one private network, where nobody comes from another one
        assert set(bad) <= {"nat", "tcp-noise in", "tcp-noise out"} and set(bad.values()) <= {"unknown"}, bad
    assert any(states(m)["tcp-noise in"] == "ok" for m in (nas, laptop))
    assert any(states(m)["tcp-noise out"] == "ok" for m in (nas, laptop))

    resolver = nas.pids("^clan-resolver")
    assert resolver
    for pid in resolver:
        os.kill(pid, signal.SIGSTOP)
    row = netcheck(nas)["names"]
    for pid in resolver:
        os.kill(pid, signal.SIGCONT)
    assert row["state"] == "warn" and "resolver does not answer" in row["what"], row
    assert states(nas)["names"] == "ok"

    with open(f"{nas.dir}/hosts", "r+") as f:  # in place: it is mounted
        kept = [line for line in f if ".home.clan" not in line]
        f.seek(0)
        f.writelines(kept)
        f.truncate()
    row = netcheck(nas)["names"]
    assert row["state"] == "fail" and "does not ask it" in row["why"], row

    # a hole on the way: what is long is lost, and nobody says so
    laptop.sh("nft add table inet hole; nft add chain inet hole in '{type filter hook input priority -5;}';"
              "nft add rule inet hole in iifname eth0 meta l4proto tcp meta length gt 1000 drop")
    row = netcheck(nas)["tcp-noise mtu"]
    laptop.sh("nft delete table inet hole")
    assert row["state"] == "fail" and "full ones" in row["what"], row
    L.wait_for(lambda: states(nas).get("tcp-noise mtu") == "ok", what="full packets again")

    # as nftables.service does when it is started anew
    nas.sh(f"nft delete table inet {table(nas)}")
    row = netcheck(nas)["firewall"]
    assert row["state"] == "fail" and "is not there" in row["what"], row
    nas.clan("down")
    nas.clan("up", "--no-questions")
    L.wait_for(lambda: states(nas)["firewall"] == "ok", what="the firewall after what netcheck said to do")


def test_nobody_gets_through(lab):
    nas, laptop = build(lab)
    for m in (nas, laptop):
        m.sh("nft add table inet shut; nft add chain inet shut in '{type filter hook input priority -5;}';"
             "nft add rule inet shut in iifname eth0 drop")
    laptop.stop()
    laptop.start(apply=False)
    L.wait_for(lambda: os.path.exists(f"{laptop.dir}/run/home.sock"), what="the clan on the laptop")
    rows = L.wait_for(lambda: (r := netcheck(laptop)).get("tcp-noise out", {}).get("state") == "fail" and r,
                      limit=40, what="calls that come to nothing")
    assert "nas" in rows["tcp-noise out"]["what"] and "firewall" in rows["tcp-noise out"]["why"]
    assert rows["machines"]["state"] == "fail" and rows["clock"]["state"] == "unknown"
    assert rows["tcp-noise in"]["state"] == "warn" and "7117" in rows["tcp-noise in"]["remedy"]

    laptop.stop()
    result = laptop.clan("netcheck", check=False)
    assert result.returncode == 1 and "fail  daemon" in result.stdout and "addresses" in result.stdout, result

"""From `clan join --yes` to the first echo, 20 times; and 200 machines at one door by one invitation."""

import concurrent.futures
import contextlib
import os
import re
import subprocess
import time

import bench
import lab as L


def link_to_ping(report):
    runs = 3 if report.args.quick else 20
    times = []
    with L.Lab() as lab:
        nas = L.up(lab.machine("nas"))
        words = L.words(nas)
        link = L.invite(nas, "--uses", str(runs))
        # with -w and -c 1, ping sends every 10 ms until the first echo
        for i in range(runs):
            m = lab.machine(f"guest{i}")
            address = nas.json("status")[-1]["address"]
            script = (
                f"printf '%s\\n' '{link}' | {L.PREFIX}/bin/clan join - --yes --fingerprint {words} >/tmp/clan-bench-{i} "
                f"|| exit 1; ping -6 -n -i 0.01 -w 10 -c 1 {address} >/dev/null"
            )
            start = time.monotonic()
            m.sh(script, timeout=30)
            times.append((time.monotonic() - start) * 1000)
            os.unlink(f"/tmp/clan-bench-{i}")
            m.stop()
    report.add("join/link_to_ping_ms", "ms", times)


LIMIT_S = 900  # a guard for all of them: who is let in last has waited for all others


def one_network_each(lab, door, count):
    """Every machine in a network of its own behind a router; the door in another."""
    lab.switch.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    lab.switch.run("ip", "addr", "add", "198.18.0.254/24", "dev", "sw")
    door.sh("ip route add default via 198.18.0.254")
    guests = []
    for i in range(count):
        net = f"198.19.{i}"
        m = lab.machine(f"g{i}", address=f"{net}.1", start=False)
        lab.switch.run("ip", "link", "set", m.port, "nomaster")
        lab.switch.run("ip", "addr", "add", f"{net}.254/24", "dev", m.port)
        m.sh(f"ip route add default via {net}.254")
        guests.append(m)
    # count households do not share one computer's processors: their daemons start four at a time
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda m: m.start(), guests))
    return guests


def join_at_once(guests, link, words):
    """Every `clan join` waits for its link, then all get it; yields (status, text, ms)."""
    joins = [
        m.popen(f"{L.PREFIX}/bin/clan", "join", "-", "--yes", "--fingerprint", words,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for m in guests
    ]
    start = time.monotonic()

    def finish(p):
        try:
            text, _ = p.communicate(link + "\n", timeout=LIMIT_S - (time.monotonic() - start))
        except subprocess.TimeoutExpired:
            p.kill()
            return None, "not joined at the end of the test", (time.monotonic() - start) * 1000
        return p.returncode, text, (time.monotonic() - start) * 1000

    with concurrent.futures.ThreadPoolExecutor(len(joins)) as pool:
        return list(pool.map(finish, joins))


def confirmed(door):
    return sum(1 for o in door.json("machines") for m in o["machines"] if m["standing"] == "member") - 1


def cost(door):
    """MB of memory (PSS) and seconds of processor of the door's processes."""
    pids = [p for p in door.pids("") if not os.readlink(f"/proc/{p}/exe").endswith(("bash", "sleep", "unshare", "nsenter"))]
    mb = sum(int(re.search(r"^Pss: +(\d+)", open(f"/proc/{p}/smaps_rollup").read(), re.M).group(1)) for p in pids) / 1024
    ticks = sum(sum(map(int, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:13])) for p in pids)
    return mb, ticks / os.sysconf("SC_CLK_TCK")


def crowd(report):
    count = 20 if report.args.quick else 200
    with L.Lab() as lab:
        nas = L.up(lab.machine("nas", address="198.18.0.1"))
        link, words = L.invite(nas, "--uses", str(count)), L.words(nas)
        guests = one_network_each(lab, nas, count)
        mb, seconds = cost(nas)
        results = join_at_once(guests, link, words)
        failed = [text for status, text, _ in results if status != 0]
        for text in failed[:5]:
            report.note(text)
        with contextlib.suppress(TimeoutError):
            L.wait_for(lambda: confirmed(nas) >= count, limit=120, what="all confirmed")
        members, used = confirmed(nas), nas.json("invite", "list")[-1]["invitations"][0]["used"]
        report.add("join/crowd_ms", "ms", [ms for _, _, ms in results])
        after_mb, after_seconds = cost(nas)
        report.note(f"crowd: {count} machines at one time at one door, {len(failed)} failed, {members} confirmed, {used} uses")
        report.note(f"crowd: the door: {mb:.1f} -> {after_mb:.1f} MB PSS, {after_seconds - seconds:.1f} s of processor")
        if failed or members != count or used != count:
            report.bad.append(f"join/crowd: {len(failed)} of {count} failed, {members} confirmed, {used} uses")
        for i in range(0, 0 if failed else count - 1, max(1, count // 10)):  # who is not in has no address
            neighbour = guests[i + 1].json("status")[-1]["machine"]
            try:
                L.wait_for(lambda: guests[i].ping(neighbour, check=False).returncode == 0, limit=120)
            except TimeoutError:
                report.bad.append(f"join/crowd: {guests[i].name} does not reach {neighbour}")


def main():
    report = bench.Report("join")
    if report.args.only in (None, "ping"):
        link_to_ping(report)
    if report.args.only in (None, "crowd"):
        crowd(report)
    report.end()


main()

"""From `clan join --yes` to the first echo, 20 times; and 200 machines at one door by one invitation."""

import concurrent.futures
import os
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


def crowd(report):
    """Every machine in a network of its own behind a router; the door in another."""
    count = 20 if report.args.quick else 200
    with L.Lab() as lab:
        nas = L.up(lab.machine("nas", address="198.18.0.1"))
        link, words = L.invite(nas, "--uses", str(count)), L.words(nas)
        lab.switch.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.switch.run("ip", "addr", "add", "198.18.0.254/24", "dev", "sw")
        nas.sh("ip route add default via 198.18.0.254")
        guests = []
        for i in range(count):
            net = f"198.19.{i}"
            m = lab.machine(f"g{i}", address=f"{net}.1", start=False)
            lab.switch.run("ip", "link", "set", m.port, "nomaster")
            lab.switch.run("ip", "addr", "add", f"{net}.254/24", "dev", m.port)
            m.sh(f"ip route add default via {net}.254")
            guests.append(m)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda m: m.start(), guests))
        start = time.monotonic()
        joins = [
            m.popen(f"{L.PREFIX}/bin/clan", "join", "-", "--yes", "--fingerprint", words,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for m in guests
        ]
        for p in joins:
            p.stdin.write(link + "\n")
            p.stdin.close()
            p.stdin = None
        failed, times = 0, []
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            def finish(p):
                out, err = p.communicate(timeout=300)
                return p.returncode, out + err, (time.monotonic() - start) * 1000
            for status, text, ms in pool.map(finish, joins):
                times.append(ms)
                if status != 0:
                    failed += 1
                    report.note(text)
        members = sum(1 for o in nas.json("machines") for m in o["machines"] if m["standing"] == "member")
        report.add("join/crowd_ms", "ms", times)
        report.note(f"crowd: {count} machines, {failed} failed, {members - 1} confirmed")
        if failed or members - 1 != count:
            report.bad.append(f"join/crowd: {failed} of {count} failed, {members - 1} confirmed")


def main():
    report = bench.Report("join")
    if report.args.only in (None, "ping"):
        link_to_ping(report)
    if report.args.only in (None, "crowd"):
        crowd(report)
    report.end()


main()

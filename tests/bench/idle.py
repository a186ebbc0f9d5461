"""Memory of all processes of an idle machine: two plugins, one peer; and with the dashboard, which has a limit of its own."""

import time

import bench
import lab as L


def pss_mb(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def alone_mb(pids):
    """What these processes would take on a machine of their own: dirty pages, and each mapped file part once.
    (The kernel's PSS would share them with the other lab machine on this computer.)"""
    dirty, clean = 0, {}
    for pid in pids:
        key = None
        for line in open(f"/proc/{pid}/smaps"):
            words = line.split()
            if "-" in words[0] and len(words) >= 5:
                key = (words[3], words[4], words[2]) if words[4] != "0" else (pid, words[0])
                part = 0
            elif words[0] == "Private_Dirty:":
                dirty += int(words[1])
            elif words[0] in ("Shared_Clean:", "Shared_Dirty:", "Private_Clean:"):
                part += int(words[1])
                clean[key] = max(clean.get(key, 0), part)
    return (dirty + sum(clean.values())) / 1024


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    report = bench.Report("idle")
    with L.Lab() as lab:
        nas, laptop = lab.machine("nas"), lab.machine("laptop")
        L.up(nas)
        L.admit(nas, laptop)
        nas.clan("enable", "files", "--on", "nas", "--yes")
        L.wait_for(lambda: laptop.curl("http://files.home.clan/", check=False).returncode == 0, what="files")
        nas.ping("laptop")
        # a program a plugin runs (lighttpd) is not ours: it is listed apart
        pids = nas.pids("^(cland|clan-|/usr/sbin/lighttpd|lighttpd)")
        names = {p: open(f"/proc/{p}/cmdline").read().replace("\0", " ").strip() for p in pids}
        before = {p: cpu_s(p) for p in pids}
        seconds = 5 if report.args.quick else 20
        time.sleep(seconds)  # idle is a span of time, not a condition
        ours = {p: n for p, n in names.items() if n.startswith("clan")}
        for p, n in sorted(names.items(), key=lambda e: e[1]):
            report.note(f"  {pss_mb(p):6.2f} MB PSS  {n}")
        two = {p: n for p, n in ours.items() if not n.startswith("clan-host dashboard")}
        assert len(two) == len(ours) - 1, "the dashboard runs"
        report.add("idle/pss_mb", "MB", [alone_mb(two)])
        report.add("idle/with_dashboard_pss_mb", "MB", [alone_mb(ours)])
        report.add("idle/programs_pss_mb", "MB", [sum(pss_mb(p) for p in names if p not in ours)])
        report.add("idle/cpu_ms_per_s", "ms/s", [max(0.001, sum(cpu_s(p) - before[p] for p in ours) * 1000 / seconds)])
    report.end()


main()

#!/usr/bin/python3
"""The same attempts on Debian's cloud kernel (6.1: Landlock 2) in QEMU without KVM: it holds, or refuses by name.

usage: guest.py PREFIX PLUGINS KERNELS   KERNELS: where scripts/setup left linux-image-*-cloud-amd64*.deb
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
# what the warden needs of the kernel; insmod in this order, dependencies first
MODULES = ("tun", "nfnetlink", "nf_tables", "nf_defrag_ipv4", "nf_defrag_ipv6", "nf_conntrack", "nft_ct",
           "nf_reject_ipv4", "nf_reject_ipv6", "nft_reject", "nft_reject_inet", "libcrc32c")
PROGRAMS = ("/usr/sbin/nft", "/bin/ip")

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
if [ ! -e /moved ]; then # the first root file system cannot be pivoted away from
    mkdir -p /new; mount -t tmpfs -o size=80%,mode=755 none /new
    for d in /*; do [ "$d" = /new ] || cp -a "$d" /new/; done
    mkdir -p /new/tmp /new/proc /new/sys /new/dev /new/run/clan /new/var/lib/clan; : > /new/moved
    exec switch_root /new /init
fi
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t cgroup2 none /sys/fs/cgroup
exec > /dev/ttyS0 2>&1 < /dev/null
echo "=== kernel $(uname -r)"
for m in {modules}; do [ ! -e /modules/$m.ko ] || insmod /modules/$m.ko; done
ip link set lo up; hostname nas
export PATH={prefix}/bin:{prefix}/sbin:/usr/sbin:/bin HOME=/root NO_COLOR=1 LC_ALL=C.UTF-8
ulimit -n 65536
clan machine apply --yes --plugin-dir /plugins
cland --plugin-dir /plugins &
for i in $(seq 300); do [ -S /run/clan/new.sock ] && break; sleep 0.2; done
clan up --name home --machine nas --no-questions
clan enable escape --on nas --yes
for i in $(seq 300); do [ -d /var/lib/clan/clans/*/hosts/escape ] && break; sleep 0.2; done
S=$(echo /var/lib/clan/clans/*/hosts/escape)
for phase in constructor create run; do
    echo $phase > $S/order; chmod 644 $S/order
    [ $phase = run ] || kill -9 $(pidof clan-host)
    for i in $(seq 600); do tail -n 1 $S/results-$phase 2>/dev/null | grep -q '^end$' && break; sleep 0.2; done
    echo "=== results $phase"; cat $S/results-$phase
done
sleep 8
echo "=== status"; clan status
echo "=== machine"; clan machine plugins
echo "=== logs"; cat /var/lib/clan/log/*
echo "=== end"
poweroff -f
"""


def skip(why):
    print("SKIP:", why)
    sys.exit(SKIP)


def libraries(binary):
    out = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def put(root, path):
    """A file with the libraries it needs, where it is here."""
    for f in [path, *libraries(path)]:
        to = root + f
        if not os.path.exists(to):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(os.path.realpath(f), to)


def tree(work, prefix, plugins, kernel):
    root = os.path.join(work, "root")
    for d in ("bin", "etc/clan", "modules", "plugins", "root"):
        os.makedirs(os.path.join(root, d))
    os.symlink("bin/busybox", root + "/linuxrc")
    shutil.copy("/bin/busybox", root + "/bin/busybox")
    for program in PROGRAMS:
        put(root, program)
    for folder, _, names in os.walk(prefix):
        for name in names:
            if "/include" not in folder and "/share" not in folder:
                put(root, os.path.join(folder, name))
    shutil.copy(os.path.join(plugins, "escape.so"), root + "/plugins")
    for so in glob.glob(prefix + "/**/tcp-noise.so", recursive=True):
        shutil.copy(so, root + "/plugins")
    with open(root + "/etc/clan/machine.yaml", "w") as f:
        f.write('version: 1\nplugins:\n  tcp-noise: {allow: [net.listen, "net.connect:lan"]}\n'
                "  escape: {allow: [fs.state, net.service]}\nlisten: {tcp-noise: [\"0.0.0.0:7117\"]}\n")
    for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\n"), ("group", "root:x:0:\n"), ("hosts", ""),
                       ("shadow", "root:*:::::::\n")):
        with open(f"{root}/etc/{name}", "w") as f:
            f.write(text)
    found = {os.path.basename(p)[:-3]: p for p in glob.glob(kernel + "/lib/modules/*/kernel/**/*.ko", recursive=True)}
    order = [m for m in ("libcrc32c", *MODULES) if m in found]
    for m in order:
        shutil.copy(found[m], f"{root}/modules/{m}.ko")
    with open(root + "/init", "w") as f:
        f.write(INIT.replace("{modules}", " ".join(order)).replace("{prefix}", prefix))
    os.chmod(root + "/init", 0o755)
    initrd = os.path.join(work, "initrd")
    with open(initrd, "wb") as f:
        names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
        subprocess.run(["cpio", "-o0", "-H", "newc", "--quiet", "-R", "0:0"], cwd=root, input=names, stdout=f, check=True)
    return initrd


def sections(text):
    return dict(re.findall(r"=== (.*?)\r?\n(.*?)(?==== )", text + "=== ", re.S))


def judge(text):
    parts = sections(text.replace("\r", ""))
    kernel = next((k for k in parts if k.startswith("kernel ")), "kernel ?")
    logs = parts.get("logs", "")
    if "cannot hold Clan's sandbox" in text:
        print(kernel, "is refused by name:", re.search(r"cannot hold Clan's sandbox[^\n]*", text)[0])
        return 0
    bad = 0
    for phase in ("constructor", "create", "run"):
        rows = [line.split("\t") for line in parts.get("results " + phase, "").splitlines() if "\t" in line]
        wins = [r[1] for r in rows if r[0] == "0"]
        unnamed = [r[1] for r in rows if r[2] and r[2] not in logs]
        print(f"{kernel}, {phase}: {len(rows)} attempts, {len(wins)} succeeded {wins or ''}, "
              f"{len(unnamed)} not named {unnamed or ''}")
        bad += len(rows) < 40 or bool(wins) or bool(unnamed)
    counted = "calls were refused" in re.sub(r"\s+", " ", parts.get("status", ""))
    print("counted in status" if counted else "NOT counted in status")
    if bad or not counted:
        print(parts.get("status", "no status"), text[-9000:])
    return 1 if bad or not counted else 0


def main():
    prefix, plugins, kernels = sys.argv[1:4]
    if not shutil.which("qemu-system-x86_64"):
        skip("qemu-system-x86_64 is not installed (scripts/setup test)")
    for tool in ("cpio", "busybox", "dpkg-deb"):
        if not shutil.which(tool):
            skip(tool + " is not installed (scripts/setup test)")
    debs = sorted(glob.glob(os.path.join(kernels, "linux-image-*-cloud-amd64_*.deb")))
    if not debs or os.uname().machine != "x86_64":
        skip(f"no linux-image-*-cloud-amd64 package in {kernels} (scripts/setup test)")
    with tempfile.TemporaryDirectory() as work:
        kernel = os.path.join(work, "kernel")
        subprocess.run(["dpkg-deb", "-x", debs[0], kernel], check=True)
        initrd = tree(work, os.path.abspath(prefix), plugins, kernel)
        qemu = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "1024",
                "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-kernel", glob.glob(kernel + "/boot/vmlinuz-*")[0], "-initrd", initrd,
                "-append", "console=ttyS0 quiet panic=-1 reboot=t no_timer_check random.trust_cpu=on"]
        try:
            out = subprocess.run(qemu, stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
            text = out.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            text = (e.stdout or b"").decode(errors="replace") + "\nTIMEOUT\n"
    return judge(text)


if __name__ == "__main__":
    sys.exit(main())

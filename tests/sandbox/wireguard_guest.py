#!/usr/bin/python3
"""The kernel's WireGuard, which not every kernel has: in a guest with Debian's cloud kernel, against the plugin's own.

usage: wireguard_guest.py UNIT HURRIED PREFIX KERNELS
UNIT: unit_netconf_device; HURRIED: wireguard-hurried.so; KERNELS: where scripts/setup left linux-image-*-cloud-amd64*.deb
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "escape"))
import guest

# two machines in namespaces of their own: one carried by the kernel, the other by the plugin in user space
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
for m in {modules}; do insmod /modules/$m.ko || echo "no module $m"; done
ip link set lo up
ulimit -n 65536
CLAN_KERNEL_WIREGUARD=1 {unit}
echo "=== unit $?"
export PATH={prefix}/bin:{prefix}/sbin:/usr/sbin:/usr/bin:/bin HOME=/root NO_COLOR=1 LC_ALL=C.UTF-8
machine() {
    mkdir -p /m/$1/run /m/$1/state /m/$1/etc
    cp /etc/clan/$1.yaml /m/$1/etc/machine.yaml
    cp /etc/hosts /m/$1/hosts
    /usr/bin/unshare --net --mount --pid --uts --fork sh -c "mount --make-rprivate /; mount -t proc proc /proc
        mount --bind /m/$1/run /run/clan; mount --bind /m/$1/state /var/lib/clan; mount --bind /m/$1/etc /etc/clan
        [ $1 = nas ] || mount --bind /hurried.so {plugin} # new keys after 25 messages, each
        mount --bind /m/$1/hosts /etc/hosts; hostname $1; ip link set lo up; : > /m/$1/ready; exec sleep 1000" &
    until [ -e /m/$1/ready ]; do sleep 0.1; done
    cat /proc/$!/task/$!/children > /m/$1/pid
    /bin/ip link set $1 netns $(cat /m/$1/pid) name eth0
    on $1 /bin/ip addr add $2/24 dev eth0
    on $1 /bin/ip link set eth0 up
    on $1 clan machine apply --yes | grep -i "carry the clan"
    on $1 cland --uid-base $3 --cgroup $1 &
    until [ -S /m/$1/run/new.sock ]; do sleep 0.1; done
}
on() { of=$1; shift; /usr/bin/nsenter -t $(cat /m/$of/pid) -m -n -p -u -- "$@"; }
said() { for i in $(seq 150); do cat /m/$1/state/log/* 2>/dev/null | grep -q "$2" && return; sleep 0.1; done; echo "=== missing $1: $2"; }
/bin/ip link add nas type veth peer name laptop
machine nas 10.77.0.1 1879048192
machine laptop 10.77.0.2 1879113728
on nas clan up --name home --machine nas --no-questions > /dev/null
on nas clan config show | sed 's/order: .*\\]/order: [wireguard, tcp-noise]/' > /m/c.yaml
on nas clan config apply /m/c.yaml --yes
said nas "reachable at 2 addresses"
WORDS=$(on nas clan --json status | sed -n 's/.*"prefix":"[^"]*","words":"\\([^"]*\\)".*/\\1/p' | head -1)
on nas clan --json invite --for laptop | sed -n 's/.*"link":"\\([^"]*\\)".*/\\1/p' > /m/link
on laptop clan join - --yes --fingerprint "$WORDS" < /m/link | tail -1
said nas "packets for laptop go by wireguard by the kernel"
said laptop "packets for nas go by wireguard in user space"
on nas nft -f - << EOF
table inet seen { chain in { type filter hook input priority -10; udp dport 7120 @th,64,8 1 counter; }; }
EOF
for m in nas laptop; do
    other=laptop; [ $m = nas ] || other=nas
    address=$(on $m clan --json machines | tr '{' '\\n' | sed -n 's/.*"name":"'$other'".*"address":"\\([^"]*\\)".*/\\1/p' | head -1)
    echo "=== $m route $(on $m /bin/ip -6 route get $address | head -1)"
    echo "=== $m ping $(on $m ping -6 -q -c 60 -i 0.02 -s 1300 $address | grep received)"
    on $m clan paths $other
    on $m clan machine plugins | grep -A2 wireguard
done
echo "=== handshakes of the plugin with the kernel: $(on nas nft list table inet seen | sed -n 's/.*counter packets \\([0-9]*\\) .*/\\1/p')"
on nas /bin/ip -s link show clan0w
echo "=== logs"; cat /m/*/state/log/* | grep -v "^---" | tail -n 60
echo "=== end"
poweroff -f
"""

NAS = 'version: 1\nplugins:\n  tcp-noise: {allow: [net.listen, "net.connect:lan"]}\n  wireguard: {allow: [net.device, fs.state]%s}\nlisten: {tcp-noise: ["0.0.0.0:7117"]}\n'


def modules(kernel, wanted):
    """Files of the modules and of what they need, in the order of insmod."""
    base = glob.glob(kernel + "/lib/modules/*")[0]
    subprocess.run(["/sbin/depmod", "-b", kernel, os.path.basename(base)], check=True, capture_output=True)
    needs = {}
    for line in open(base + "/modules.dep"):
        file, _, rest = line.partition(":")
        needs[os.path.basename(file)[:-3]] = [file, *rest.split()]
    order = []
    for name in wanted:
        for file in reversed(needs[name]):
            if file not in order:
                order.append(file)
    return [os.path.join(base, f) for f in order]


def main():
    unit, hurried, prefix, kernels = sys.argv[1:5]
    prefix = os.path.abspath(prefix)
    for tool in ("qemu-system-x86_64", "cpio", "busybox", "dpkg-deb"):
        if not shutil.which(tool):
            guest.skip(tool + " is not installed (scripts/setup test)")
    debs = sorted(glob.glob(os.path.join(kernels, "linux-image-*-cloud-amd64_*.deb")))
    if not debs or os.uname().machine != "x86_64":
        guest.skip(f"no linux-image-*-cloud-amd64 package in {kernels} (scripts/setup test)")
    if not os.path.exists("/sbin/depmod"):
        guest.skip("depmod is not installed (package kmod)")
    with tempfile.TemporaryDirectory() as work:
        kernel, root = work + "/kernel", work + "/root"
        subprocess.run(["dpkg-deb", "-x", debs[0], kernel], check=True)
        for d in ("bin", "modules", "proc", "sys", "dev", "etc/clan", "root"):
            os.makedirs(f"{root}/{d}")
        shutil.copy("/bin/busybox", root + "/bin/busybox")
        for program in (*guest.PROGRAMS, "/usr/bin/unshare", "/usr/bin/nsenter", os.path.abspath(unit)):
            guest.put(root, program)
        for folder, _, names in os.walk(prefix):
            for name in names:
                if "/include" not in folder and "/share" not in folder:
                    guest.put(root, os.path.join(folder, name))
        for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\n"), ("group", "root:x:0:\n"), ("hosts", ""),
                           ("shadow", "root:*:::::::\n"), ("clan/nas.yaml", NAS % ""),
                           ("clan/laptop.yaml", NAS % ", settings: {mode: user}")):
            with open(f"{root}/etc/{name}", "w") as f:
                f.write(text)
        shutil.copy(hurried, root + "/hurried.so")
        plugin = glob.glob(prefix + "/lib*/**/wireguard.so", recursive=True)[0]
        files = modules(kernel, ["tun", "wireguard", "veth", *guest.MODULES])
        for f in files:
            shutil.copy(f, root + "/modules")
        names = " ".join(os.path.basename(f)[:-3] for f in files)
        with open(root + "/init", "w") as f:
            f.write(INIT.replace("{modules}", names).replace("{unit}", os.path.abspath(unit)).replace("{prefix}", prefix).replace("{plugin}", plugin))
        os.chmod(root + "/init", 0o755)
        with open(work + "/initrd", "wb") as f:
            found = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
            subprocess.run(["cpio", "-o0", "-H", "newc", "--quiet", "-R", "0:0"], cwd=root, input=found, stdout=f, check=True)
        qemu = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "1024",
                "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-kernel", glob.glob(kernel + "/boot/vmlinuz-*")[0], "-initrd", work + "/initrd",
                "-append", "console=ttyS0 quiet panic=-1 reboot=t no_timer_check random.trust_cpu=on"]
        try:
            out = subprocess.run(qemu, stdin=subprocess.DEVNULL, capture_output=True, timeout=90).stdout
        except subprocess.TimeoutExpired as e:
            out = (e.stdout or b"") + b"\nTIMEOUT\n"
    text = out.decode(errors="replace").replace("\r", "")
    good = "=== unit 0" in text and "the_kernel_carries\n[       OK ]" in text and "=== missing" not in text
    for m in ("nas", "laptop"):
        good = good and re.search(f"=== {m} route .* dev clan0w ", text) and re.search(f"=== {m} ping 60 .* 60 ", text)
    again = re.search(r"plugin with the kernel: (\d+)", text)
    good = good and again and int(again[1]) >= 3
    print("\n".join(line for line in text.splitlines() if line.startswith("=== ")) if good else text[-12000:])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

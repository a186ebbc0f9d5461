"""clan-plugin-check: good plugins pass, and each bad one fails exactly the check that it is bad for."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

CHECK, HOST, CC, CXX, INCLUDE, SOURCE, VERSIONS = sys.argv[1:8]
GOOD = sys.argv[8:]
ROOT = os.geteuid() == 0
COMPILE = ["-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-I", INCLUDE]
LINK = ["-Wl,-z,relro,-z,now,-z,noexecstack,--as-needed"]
SCRIPT = ["-Wl,--version-script=" + VERSIONS]

# name: what differs when it is built, the check that fails
BAD = {
    "BAD_NOTE": ([], "static.note"),
    "BAD_LAZY": (["-Wl,-z,lazy"], "static.hardening"),
    "BAD_STACK": (["-Wl,-z,execstack"], "static.hardening"),
    "BAD_RELRO": (["-Wl,-z,norelro"], "static.hardening"),
    "BAD_RPATH": (["-Wl,-rpath,/tmp"], "static.paths"),
    "BAD_LIBRARY": (["-lsodium"], "static.libraries"),
    "BAD_SYMBOL": (None, "static.symbols"),
    "BAD_CRASH": ([], "load.open"),
    "BAD_SLOW": ([], "load.time"),
    "BAD_THREAD": ([], "load.threads"),
    "BAD_DESCRIPTOR": ([], "load.descriptors"),
    "BAD_CHILD": ([], "load.children"),
    "BAD_LEAK": ([], "protocol.cycle"),
    "BAD_INTERFACE": ([], "protocol.interfaces"),
    "BAD_SETTINGS": ([], "protocol.settings"),
    "BAD_LEFTOVER": ([], "protocol.states"),
    "BAD_ANSWER": ([], "protocol.answers"),
    "BAD_SMALL_HOST": ([], "protocol.small-host"),
    "BAD_CALL": ([], "sandbox.run"),
    "BAD_FUZZ": ([], "fuzz.settings"),
    "BAD_PEER": ([], "fuzz.peer"),
}
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAIL:", text)


def build(directory, name, extra, compiler=None):
    out = os.path.join(directory, name + ".so")
    script = [] if extra is None else SCRIPT
    language = ["-x", "c++", "-std=c++17"] if compiler == CXX else ["-std=c11", "-D_GNU_SOURCE"]
    subprocess.run([compiler or CC, *language, *COMPILE, "-D" + name, SOURCE, "-o", out, *LINK, *script, *(extra or [])],
                   check=True)
    return out


def check(path, *options):
    run = subprocess.run([CHECK, "--json", "--host", HOST, *options, path], capture_output=True, text=True, timeout=60)
    rows = json.loads(run.stdout)["checks"] if run.stdout else []
    return run.returncode, {row["check"]: row for row in rows}


def failed(rows):
    return sorted(name for name, row in rows.items() if row["result"] == "failed")


def passes(path, *options):
    code, rows = check(path, *options)
    missed = [n for n, row in rows.items() if row["result"] == "not_run"]
    text = {n: row["why"] for n, row in rows.items() if row["result"] != "passed"}
    expect(not failed(rows) and code == (3 if missed else 0), f"{path}: exit {code}, {text}")
    expect(missed in ([], ["sandbox.run"]), f"{path}: not run: {text}")
    for name in missed:
        print("SKIP:", name, rows[name]["why"])


def bad(directory, name):
    extra, wanted = BAD[name]
    path = build(directory, name, extra)
    # the loader makes the stack executable, which the sandbox sees, or (glibc 2.41) does not load it
    only = ["--only", "static"] if name == "BAD_STACK" else []
    code, rows = check(path, "--seed", "7", "--fuzz-ms", "1000" if wanted == "fuzz.peer" else "100", *only)
    if rows[wanted]["result"] == "not_run":
        print("SKIP:", name, rows[wanted]["why"])
        return
    text = {n: row["why"] for n, row in rows.items() if row["result"] == "failed"}
    expect(code == 1 and failed(rows) == [wanted], f"{name}: exit {code}, failed {text}")
    expect(rows[wanted]["why"] and rows[wanted]["remedy"], f"{name}: no text or no remedy")
    print(f"{name}: {rows[wanted]['why']}")
    if name in ("BAD_FUZZ", "BAD_PEER"):
        case = rows[wanted]["remedy"].split("--reproduce ")[1].split()[0]
        for _ in range(2):
            code, again = check(path, "--reproduce", case)
            expect(code == 1 and again[wanted]["why"] == rows[wanted]["why"], f"{name}: {case} is not reproduced")
        inside = subprocess.run([CHECK, "--in-process", "--reproduce", case, path], capture_output=True)
        expect(inside.returncode == -6, f"{name}: in this process it did not abort: {inside.returncode}")


def uses():
    many = [word for i in range(33) for word in ("--setting", f"k{i}=v")]
    for arguments in ([], ["--no-such"], ["/nowhere/x.so"], ["--only", "nothing", SOURCE], ["--reproduce", "x", SOURCE],
                      ["--setting", "x", SOURCE], ["--setting", "=x", SOURCE], ["--setting", "k" * 64 + "=x", SOURCE],
                      ["--setting", "k=" + "x" * 256, SOURCE], [*many, SOURCE]):
        code = subprocess.run([CHECK, *arguments], capture_output=True).returncode
        expect(code == 2, f"{arguments}: exit {code}")
    for option in ("--help", "--list"):
        run = subprocess.run([CHECK, option], capture_output=True, text=True)
        expect(run.returncode == 0 and run.stdout, f"{option}: exit {run.returncode}")
    code, rows = check(SOURCE)
    expect(code == 1 and failed(rows) == ["static.note"], f"no ELF file: exit {code}, {failed(rows)}")
    run = subprocess.run([CHECK, SOURCE], capture_output=True, text=True)
    said = run.stderr.splitlines()
    expect(run.returncode == 1 and not run.stdout and len(said) == 2, f"no ELF file: {run.returncode} {run.stdout}{said}")
    expect("no shared object" in said[0] and "clan plugin new" in said[1], f"no ELF file: {said}")


USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# a process in another root may make no user namespace
JAILED = ["unshare", "--mount", "sh", "-c", 'mount --rbind / "$0" && exec chroot --userspec=65534:65534 "$0" "$@"']


def as_somebody(good, refused, work):
    """Without root: in a user namespace, and where the kernel refuses that, by Landlock and seccomp alone."""
    if not ROOT:
        return
    jail = os.path.join(work, "jail")
    os.mkdir(jail)
    spaces = subprocess.run([*USER, "unshare", "-Urmn", "true"], capture_output=True).returncode == 0
    for way, command, partial in (("user", USER, not spaces), ("jailed", [*JAILED, jail], True)):
        for path, broken in ((good, False), (refused, True)):
            run = subprocess.run([*command, CHECK, "--json", "--only", "sandbox", "--host", HOST, path],
                                 capture_output=True, text=True, timeout=60)
            row = json.loads(run.stdout)["checks"][0]
            wanted = (1, "failed") if broken else (3, "not_run") if partial else (0, "passed")
            text = f"{way}: exit {run.returncode}, {row}"
            if "kernel cannot hold" in row["why"]:
                print("SKIP:", way, row["why"])
                continue
            expect((run.returncode, row["result"]) == wanted, text)
            expect("socket" in row["why"] if broken else "Landlock" in row["why"], text)
            expect(broken or ("as root" in row["remedy"] and "not in force" in row["why"]), text)
            if way == "user" and partial:
                print("SKIP: users may not make namespaces here")


def with_settings(path):
    code, rows = check(path, "--fuzz-ms", "50")
    row = rows["protocol.states"]
    expect(row["result"] == "not_run" and "--setting" in row["remedy"], f"required settings: {code}, {row}")
    passes(path, "--fuzz-ms", "200", "--setting", "where=a=b", "--setting", "title=")


with tempfile.TemporaryDirectory(prefix="clan-plugin-check-test-") as directory:
    os.chmod(directory, 0o755)
    temp = os.path.join(directory, "tmp")
    os.mkdir(temp)
    os.chmod(temp, 0o777)
    os.environ["TMPDIR"] = temp
    part = GOOD.pop(0)
    if part == "good":
        uses()
        for plugin in GOOD:
            passes(plugin, "--fuzz-ms", "500")
        good = build(directory, "BAD_NOTHING", [])
        if shutil.which(CXX):
            passes(build(directory, "BAD_CXX", ["-Wl,-z,defs"], CXX), "--fuzz-ms", "100")
        else:
            print("SKIP: no C++ compiler, so no plugin in C++")
        passes(build(directory, "BAD_DECLARED", ["-DBAD_LIBRARY", "-lsodium"]), "--fuzz-ms", "100")
        os.chmod(build(directory, "BAD_CALL", []), 0o644)
        as_somebody(good, os.path.join(directory, "BAD_CALL.so"), directory)
        with_settings(build(directory, "BAD_NEEDS", []))
        undefined = build(directory, "BAD_UNDEFINED", [])
        code, rows = check(undefined)
        expect(failed(rows) == ["load.open", "static.libraries"], f"undefined symbol: {failed(rows)}")
        expect(not os.listdir(temp), f"left behind: {os.listdir(temp)}")
    else:
        names = sorted(BAD)
        for name in names[0 if part == "bad-1" else 1::2]:
            bad(directory, name)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)

"""What is in git is source: no generated, binary or large file, and nothing of the computer it was written on."""

import os
import re
import socket
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CORPORA = re.compile(r"^(tests/fuzz|sdk/examples/[^/]+/tests)/corpus/")
GENERATED = re.compile(
    r"(^|/)(build[^/]*|__pycache__|node_modules|results|\.cache)/"
    r"|\.(o|a|so|pyc|log|orig|rej|swp|deb|tar|gz|zip)$|\.pb\.[ch]$|\.schema\.json$|(^|/)compile_commands\.json$"
)
# Written in two parts, so that this file does not find itself.
FOREIGN = [
    ("a path of the author's computer", re.compile(r"(?<![\w}])/(wor" r"k|roo" r"t|home/(?!anna\b)[a-z]+)/[a-z.]|/tmp/(b|f|root)-[a-z]")),
    ("an unfinished place", re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")),
    ("a conflict mark", re.compile(r"^(<{7}|>{7}) ", re.M)),
    ("a line break of another system", re.compile(r"\r\n")),
]
FILE_MAX, CORPUS_FILE_MAX, CORPORA_MAX = 200 * 1024, 70 * 1024, 2 * 1024 * 1024


def tracked():
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
    return [name for name in out.decode().split("\0") if name and os.path.lexists(os.path.join(ROOT, name))]


def corpus_problems(data, total):
    if len(data) > CORPUS_FILE_MAX:
        yield f"{len(data)} bytes are much for a seed"
    if total > CORPORA_MAX:
        yield f"the corpora have {total} bytes"


def text_problems(name, data):
    if len(data) > FILE_MAX:
        yield f"{len(data)} bytes are much for a source file"
    if b"\0" in data:
        yield "is binary"
        return
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        yield f"is not UTF-8: {e.reason} at byte {e.start}"
        return
    host = socket.gethostname()
    if len(host) > 8 and host in text:
        yield "names the author's computer"
    for what, pattern in FOREIGN:
        found = pattern.search(text)
        if found:
            yield f"{what}, line {text.count(chr(10), 0, found.start()) + 1}: {found.group().strip()}"
    if name.endswith((".c", ".h")) and not text.startswith("/*"):
        yield "does not begin with the comment that says what it is for"
    if text.startswith("#!") and not os.access(os.path.join(ROOT, name), os.X_OK):
        yield "is a program and not executable"


def main():
    if subprocess.run(["git", "-C", ROOT, "rev-parse"], capture_output=True).returncode != 0:
        print("this is no git work tree")
        return 77
    bad, corpora, names = 0, 0, tracked()
    for name in names:
        path = os.path.join(ROOT, name)
        if os.path.islink(path):
            problems = ["is a link"]
        elif GENERATED.search(name):
            problems = ["looks generated"]
        else:
            data = open(path, "rb").read()
            if CORPORA.match(name):
                corpora += len(data)
                problems = list(corpus_problems(data, corpora))
            else:
                problems = list(text_problems(name, data))
        for problem in problems:
            print(f"{name}: {problem}")
            bad += 1
    print(f"{len(names)} files looked at, {bad} problems")
    return 1 if bad or not names else 0


sys.exit(main())

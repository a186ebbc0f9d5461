"""The installed SDK outside of the tree: headers, find_package, pkg-config, and what `clan plugin new` writes."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PREFIX = os.environ.get("CLAN_PREFIX", "/usr/local")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
COMPILERS = [
    [name, f"-std={std}"]
    for name, stds in (
        ("gcc", ("c11", "c17")),
        ("clang", ("c11", "c17")),
        ("g++", ("c++17", "c++20")),
        ("clang++", ("c++17",)),
    )
    for std in stds
    if shutil.which(name)
]
CHECK = f"{PREFIX}/bin/clan-plugin-check"

env = dict(os.environ)
found = glob.glob(f"{PREFIX}/lib/**/clan-sdk.pc", recursive=True)
env["PKG_CONFIG_PATH"] = os.path.dirname(found[0]) if found else ""
env["CMAKE_PREFIX_PATH"] = PREFIX
env["LC_ALL"] = "C"
for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS", "DESTDIR", "MAKEFLAGS"):
    env.pop(name, None)


def run(*args, cwd, check=True, **more):
    result = subprocess.run(
        args, cwd=cwd, env=dict(env, **more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    if check and result.returncode != 0:
        raise AssertionError(f"{args}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def variable(name):
    return run("pkg-config", f"--variable={name}", "clan-sdk", cwd="/").stdout.strip()


class Sdk(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="clan-sdk-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def test_headers_alone(self):
        """Each header is enough for itself, in every language that it promises."""
        flags = run("pkg-config", "--cflags", "clan-sdk", cwd="/").stdout.split() or [f"-I{PREFIX}/include"]
        headers = sorted(glob.glob(f"{PREFIX}/include/clan/*.h"))
        self.assertIn(f"{PREFIX}/include/clan/plugin.h", headers)
        for header in headers:
            self.write("one.c", f"#include <clan/{os.path.basename(header)}>\nint nothing;\n")
            for compiler in COMPILERS:
                language = "c++" if "++" in compiler[0] else "c"
                run(*compiler, *STRICT, *flags, "-x", language, "-c", "one.c", "-o", "one.o", cwd=self.dir)

    def test_definition(self):
        """CLAN_PLUGIN_DEFINE in C and C++: how many permissions it counts."""
        flags = run("pkg-config", "--cflags", "clan-sdk", cwd="/").stdout.split() or [f"-I{PREFIX}/include"]
        flags += [w for n in ("plugin_cflags", "plugin_ldflags") for w in variable(n).split()]
        for asks, count in (("CLAN_ASKS_NONE", 0), ('CLAN_ASKS("a")', 1), (f'CLAN_ASKS({", ".join(["x"] * 16)})', 16)):
            asks = asks.replace("x", '"x"')
            self.write(
                "one.c",
                f"""#include <clan/plugin.h>
static clan_status create(const struct clan_host *h, const struct clan_config *c, void **r, struct clan_error *e)
{{ (void)h; (void)c; (void)r; return clan_error_set(e, CLAN_E_NOSYS, "no", "because", NULL); }}
static void destroy(void *i) {{ (void)i; }}
static const void *get(void *i, const char *id) {{ (void)i; (void)id; return NULL; }}
CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "one", "1", "One", "One.", 0, {asks}, "v", "l", create, destroy, get)
""",
            )
            for compiler in [c for c in COMPILERS if c[1] in ("-std=c11", "-std=c++17")]:
                language = "c++" if "++" in compiler[0] else "c"
                run(*compiler, *STRICT, "-x", language, "one.c", *flags, "-o", "one.so", cwd=self.dir)
                self.assertEqual(asks_count(self.path("one.so")), count, (compiler, asks))

    def test_find_package(self):
        """The major must be the same, and the version new enough; the function says what is wrong."""
        project = "cmake_minimum_required(VERSION 3.20)\nproject(x LANGUAGES C)\n"
        for wanted, good in (("", True), ("0.1", True), ("0.999", False), ("7.0", False)):
            self.write("CMakeLists.txt", project + f"find_package(ClanSDK {wanted} REQUIRED)\n")
            result = run("cmake", "-S", ".", "-B", "b", cwd=self.dir, check=False)
            self.assertEqual(result.returncode == 0, good, result.stderr)
            shutil.rmtree(self.path("b"))
        self.write("CMakeLists.txt", project + "find_package(ClanSDK)\nclan_add_plugin(x KIND toaster SOURCES x.c)\n")
        result = run("cmake", "-S", ".", "-B", "b", cwd=self.dir, check=False)
        self.assertIn("transport, hypervisor or service", result.stderr)

    def test_new_plugins(self):
        for kind in ("service", "transport"):
            for lang in ("c", "c++"):
                with self.subTest(kind=kind, lang=lang):
                    self.build(kind, lang)

    def build(self, kind, lang):
        name = f"my-{kind}-{len(lang)}"
        folder = self.path(name)
        run(f"{PREFIX}/bin/clan", "plugin", "new", name, "--kind", kind, "--lang", lang, cwd=self.dir)
        # with make
        flags = " ".join(["-O2", *STRICT])
        self.assertIn("ok", run("make", "test", f"CFLAGS={flags}", f"CXXFLAGS={flags}", cwd=folder).stdout)
        if kind == "service" and os.access(CHECK, os.X_OK):
            run("make", "check", cwd=folder)
        run("make", "install", cwd=folder, DESTDIR=self.path("by-make"))
        # with CMake
        run("cmake", "-S", ".", "-B", "build", cwd=folder)
        run("cmake", "--build", "build", cwd=folder)
        run("ctest", "--test-dir", "build", "--output-on-failure", cwd=folder)  # clan-plugin-check too
        run("cmake", "--install", "build", cwd=folder, DESTDIR=self.path("by-cmake"))
        for way in ("by-make", "by-cmake"):
            so = self.path(way) + variable("plugindir") + f"/{name}.so"
            symbols = run("nm", "-D", "--defined-only", so, cwd=folder).stdout.split("\n")
            self.assertEqual([s.split()[-1] for s in symbols if s], ["clan_plugin_query"])
            self.assertNotIn("RUNPATH", run("readelf", "-d", so, cwd=folder).stdout)
        # a call that nothing provides is an error when it is linked, not when Clan loads it
        source = folder + f"/{name}." + ("c" if lang == "c" else "cc")
        with open(source) as f:
            text = f.read()
        with open(source, "w") as f:
            f.write(text.replace("destroy(void *instance)\n{", "destroy(void *instance)\n{\n    extern void nobody();\n    nobody();"))
        self.assertIn("undefined reference", run("make", cwd=folder, check=False).stderr)


def asks_count(so):
    """From the note: its type and name, then version, size, kind, two ABI numbers, the minor it needs."""
    with open(so, "rb") as f:
        data = f.read()
    at = data.index(b"NALCClan\0") + 12 + 4 + 4 + 4 + 2 + 2 + 2
    return int.from_bytes(data[at : at + 2], "little")


if __name__ == "__main__":
    if not found or not os.access(f"{PREFIX}/bin/clan", os.X_OK):
        print(f"SKIP: no Clan is installed at {PREFIX}; run cmake --install first")
        sys.exit(77)
    unittest.main(verbosity=2)

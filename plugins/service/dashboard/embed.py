"""Writes assets.S and assets.c: every file below a folder, compressed, as the plugin carries it."""

import gzip
import hashlib
import os
import sys

TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
         "json": "application/json", "svg": "image/svg+xml"}

folder, out = sys.argv[1:]
names = sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, files in os.walk(folder) for f in files)
rows, data = [], [".section .rodata\n"]
for i, name in enumerate(names):
    with open(os.path.join(folder, name), "rb") as f:
        packed = gzip.compress(f.read(), 9, mtime=0)
    path = f"{out}/asset{i}.gz"
    with open(path, "wb") as f:
        f.write(packed)
    data.append(f'.hidden asset{i}\n.global asset{i}\nasset{i}: .incbin "{path}"\n')
    rows.append((name, TYPES[name.rsplit(".", 1)[-1]], hashlib.sha256(packed).hexdigest()[:32], i, len(packed)))
data.append('.section .note.GNU-stack,"",%progbits\n')
with open(f"{out}/assets.S", "w") as f:
    f.write("".join(data))
with open(f"{out}/assets.c", "w") as f:
    f.write('#include "dashboard.h"\n\n')
    f.write("".join(f"extern const unsigned char asset{i}[];\n" for *_, i, _ in rows))
    f.write("const struct asset dashboard_assets[] = {\n")
    f.write("".join(f'    {{"/{n}", "{t}", "\\"{h}\\"", asset{i}, {s}}},\n' for n, t, h, i, s in rows))
    f.write("};\nconst size_t dashboard_asset_count = sizeof dashboard_assets / sizeof *dashboard_assets;\n")
print(sum(r[-1] for r in rows), "bytes of pages")

#!/usr/bin/python3
"""embed.py OUT FILE...: the dashboard's files as a table in C, for gatewayd/admin_page.h.

A file is served by its own name, dashboard.html as / and as itself; what its name ends in tells its type.
"""

import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def main():
    rows, arrays = [], []
    for number, path in enumerate(sys.argv[2:]):
        with open(path, "rb") as file:
            data = file.read()
        lines = [", ".join(str(byte) for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
        arrays.append("static const unsigned char file_%d[] = {\n%s};\n" % (number, ",\n".join(lines)))
        name = os.path.basename(path)
        for served in (["/", "/" + name] if name == "dashboard.html" else ["/" + name]):
            rows.append('    {"%s", "%s", {(const char *)file_%d, sizeof file_%d}},' % (
                served, TYPES[os.path.splitext(name)[1]], number, number))
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write('/* Made by embed.py from the files of the dashboard. */\n\n#include "gatewayd/admin_page.h"\n\n')
        out.write("\n".join(arrays) + "\nconst struct admin_page admin_pages[] = {\n" + "\n".join(rows) + "\n};\n")
        out.write("const size_t admin_page_count = sizeof admin_pages / sizeof *admin_pages;\n")


main()

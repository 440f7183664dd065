#!/usr/bin/python3
"""llmsim from its clients' side: every path, every fault, the limits, the control and the counts.

Run as `test_llmsim.py PATH-OF-LLMSIM [TEST]...`. A fault is judged by what arrives at a raw socket, not by what llmsim
says of itself. Nothing sleeps: each wait is for an event (bytes, an end of file, a count), and the only times that are
asserted are lower bounds of waits that are themselves the feature.
"""

import sys
import traceback

sys.dont_write_bytecode = True  # the sources may be read-only, and are not to be littered

import llmsim_answers  # noqa: E402,F401  (the tests register themselves)
import llmsim_http  # noqa: E402,F401
import llmsim_faults  # noqa: E402,F401
import llmsim_control  # noqa: E402,F401
from llmsim_support import TESTS  # noqa: E402


def main():
    failed = 0
    only = sys.argv[2:]
    chosen = [function for function in TESTS if not only or function.__name__ in only]
    for function in chosen:
        try:
            function()
        except Exception:
            failed += 1
            print("FAILED %s\n%s" % (function.__name__, traceback.format_exc()))
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m hlo` runs ONNX's suite through StableHLO and writes what it found into
docs/stablehlo.md; `python -m hlo WORD` runs the cases with the word in their names."""

import sys

from conformance import document
from hlo import report, suite


def main(arguments):
    if arguments:
        chosen = [c for c in document.all_cases() if arguments[0] in c[1]]
        results = [suite.run(*case) for case in chosen]
    else:
        results = suite.run_all()
        report.write(results)
    failed = report.unexpected(results)
    for r in results if arguments else failed:
        if r.status != suite.EQUAL:
            print(f"{r.kind} {r.name}: {r.status}: {r.reason}")
    print(", ".join(f"{n} {status}" for status, n in suite.totals(results).items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m conformance` runs the suite and writes docs/conformance.md;
`python -m conformance WORD` runs the cases that have such an operator, or the word in
their name, and prints those that fail."""

import sys

from conformance import document, parallel, suite


def about(word, kind, name):
    """Whether a case is about an operator or has the word in its name."""
    operators = {node.op_type for node in suite.load(kind, name).model.graph.node}
    return word in name or word in operators


def main(arguments):
    if not arguments:
        outcomes = parallel.run_all()
        document.PATH.write_text(document.render(outcomes))
    else:
        (word,) = arguments
        cases = [case for case in document.all_cases() if about(word, *case)]
        outcomes = [suite.run(*case) for case in cases]
    failed = [o for o in outcomes if suite.FAILED in (o.status, o.narrow)]
    for o in failed:
        print(f"{o.kind} {o.name}: {o.reason or f'32-bit mode: {o.narrow_reason}'}")
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

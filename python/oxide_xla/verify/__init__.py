"""Compare the code that the compiler generates with a reference, and say where it errs.

    from oxide_xla.verify import verify

    report = verify("model.onnx", against="onnxruntime")
    print(report.passed, report.rows)

On the command line: `oxide_xla verify model.onnx`. Needs onnx, and rich to print;
onnxruntime or torch for what is compared with.

The tolerance is not a constant. It is measured for each value: the reference runs again
with its inputs and weights moved by at most one unit in the last place, at random, and
how far its own results move is the error that rounding alone explains. This is
Monte Carlo arithmetic on the data: D. S. Parker, "Monte Carlo Arithmetic: exploiting
randomness in floating-point arithmetic", UCLA CSD-970002, 1997; why moving the data
stands for rounding inside is backward error analysis: N. J. Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd ed., SIAM 2002, section 1.5.
"""

from oxide_xla.verify.check import Report, verify
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import VerifyError

__all__ = ["Report", "Row", "VerifyError", "verify"]

"""`python -m oxide_xla.stablehlo` is `oxide_xla compile --target stablehlo`."""

import sys

from oxide_xla.stablehlo.cli import main

sys.exit(main())

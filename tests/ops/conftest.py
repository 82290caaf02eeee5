"""oxide_xla takes the library that is beside the program.  It loads it when it is
imported first, which the tests do after this."""

import os

from program import LIBRARY

os.environ.setdefault("OXIDE_XLA_LIBRARY", LIBRARY)

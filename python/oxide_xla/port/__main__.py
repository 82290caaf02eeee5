"""`python -m oxide_xla.port` is `oxide_xla port`."""

import sys

from oxide_xla.port.cli import main

sys.exit(main())

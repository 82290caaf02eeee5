"""`python -m oxide_xla.verify` is `oxide_xla verify`."""

import sys

from oxide_xla.verify.cli import main

sys.exit(main())

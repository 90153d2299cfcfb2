"""`python -m traincost` is `traincost`."""

import sys

from traincost.cli import main

sys.exit(main())

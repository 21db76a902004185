"""``python -m defectscope``."""

import sys

from defectscope.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

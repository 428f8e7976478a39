"""`python -m minimax_al`: the command `mal`."""

import sys

from minimax_al.cli import main

if __name__ == "__main__":  # processes that training starts import this file too
    sys.exit(main())

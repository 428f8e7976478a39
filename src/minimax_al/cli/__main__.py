"""`python -m minimax_al.cli`, where a launcher such as torchrun wants a module: the command `mal`."""

import sys

from minimax_al.cli import main

if __name__ == "__main__":  # processes that training starts import this file too
    sys.exit(main())

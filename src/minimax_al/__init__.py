"""Picks the images worth labelling: Minimax Active Learning, its baselines, and the loop around them.

Names are imported when they are first used, so that `import minimax_al` loads no torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

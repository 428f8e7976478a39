"""The oracle with the answers: protocols, resumable runs, statistics, the paper's numbers.

Names are imported when first used: statistics load no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

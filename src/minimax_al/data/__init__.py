"""Images to batches: sources, the pool's bookkeeping, imbalance, augmentation, batches.

Names are loaded when they are first used, so that `locations.scan` and `locations.manifest_table` serve programs that
never load torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Named methods of active learning: what each trains, what it scores, how it chooses.

Names are imported when they are first used: the registry can say which strategies there are without loading torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

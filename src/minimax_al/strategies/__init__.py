"""Named methods of active learning: trainings, scores and choices.

Names are imported when they are first used: the registry lists them without loading torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

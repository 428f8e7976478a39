"""Use of a trained model outside of the loop: predictions for files, and the package with weights, ONNX and card.

Names are loaded when they are first used, so that the import loads no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Reports of an experiment or a campaign: learning curves, tables, thumbnails, one self-contained HTML page.

Names are imported when first used, so that reading records does not load matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

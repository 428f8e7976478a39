"""Locations of images: a folder, a manifest, or a URL of object storage. Loads no torch; fsspec only for URLs."""

"""Reports of one or several results folders."""

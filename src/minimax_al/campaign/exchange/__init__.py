"""Import and export: labels in the files of other tools, matched to the images and classes of the campaign."""

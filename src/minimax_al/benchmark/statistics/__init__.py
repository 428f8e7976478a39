"""Statistics of learning curves: areas, paired tests, gains, comparison over several data sets."""

"""Where a training runs: device, precision, ranks, loggers. The only room that imports Lightning Fabric."""

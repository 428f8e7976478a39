"""Progress of a campaign: how far it is, how good the model is, whether to stop, which labels look wrong."""

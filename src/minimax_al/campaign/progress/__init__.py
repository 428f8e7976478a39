"""Progress of a campaign: status, learning curve, advice on when to stop, the report."""

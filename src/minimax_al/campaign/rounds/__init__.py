"""Rounds of labelling: picks, leases, answers, validation split, reasons for picks."""

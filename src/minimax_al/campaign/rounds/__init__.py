"""Rounds of labelling: picks, leases, answers, the validation split and the reasons for picks."""

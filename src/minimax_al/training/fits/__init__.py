"""Fits of a round's networks, one function per method: supervised, minimax, VAAL, WAAL, learning loss."""

"""The oracle with the answers: protocols, resumable runs, statistics, the paper's numbers."""

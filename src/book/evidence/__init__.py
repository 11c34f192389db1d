"""The catalogue's claims, the statistics that judge them, and the ledger."""

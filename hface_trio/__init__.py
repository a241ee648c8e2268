"""HTTP for trio."""

"""Finding images: what answers a query over a person's own folders."""

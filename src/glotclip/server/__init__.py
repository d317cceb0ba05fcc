"""A library behind an address: the HTTP API, the page, and the encoders for other programs."""

"""What a language adds to the tower, which of it trains, and which loss pulls on it."""

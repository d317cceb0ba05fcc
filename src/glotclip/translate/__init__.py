"""Translation engines behind one interface, and the disk cache in front of them."""

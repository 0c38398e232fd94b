"""What is generated is sound: every pattern, every pair, and the services they make."""

"""What is wrong, what it costs, why, and who mends it."""

"""What changes accounts, streams and raw documents."""

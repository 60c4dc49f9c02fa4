"""Programs of strangers that read the sandbox, each in a process of its own."""

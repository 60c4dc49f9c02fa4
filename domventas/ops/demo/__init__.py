"""The demo: a populated, believable desk from one command."""

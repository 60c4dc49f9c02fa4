"""Reads of finance: the questions pages, commands and services ask."""

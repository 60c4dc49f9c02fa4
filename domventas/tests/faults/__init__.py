"""Faults caused for real: servers, workers and beats of their own are killed, and every row is counted afterwards."""

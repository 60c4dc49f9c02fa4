"""What is wrong and who mends it: detector runs, findings, tickets, groups and their history."""

from tickets.models.findings import DetectorRun, Finding, StartingPosition
from tickets.models.tickets import Ticket, TicketEvent, TicketGroup

__all__ = ["DetectorRun", "Finding", "StartingPosition", "Ticket", "TicketEvent", "TicketGroup"]

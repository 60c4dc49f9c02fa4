"""What was sold and what became of it: orders, lines, charges, refunds, events, parcels, and the buyer apart."""

from orders.models.buyers import BuyerContact, Erasure
from orders.models.orders import Order, OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund
from orders.models.shipments import ShipFrom, Shipment, ShipmentLine

__all__ = [
    "BuyerContact", "Erasure", "Order", "OrderCharge", "OrderEvent", "OrderException", "OrderLine", "OrderRefund",
    "ShipFrom", "Shipment", "ShipmentLine",
]  # fmt: skip

"""What was sold and what became of it: orders, lines, charges, refunds, events, and the buyer apart."""

from orders.models.buyers import BuyerContact, Erasure
from orders.models.orders import Order, OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund

__all__ = [
    "BuyerContact", "Erasure", "Order", "OrderCharge", "OrderEvent", "OrderException", "OrderLine", "OrderRefund",
]  # fmt: skip

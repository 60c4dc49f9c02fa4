"""Orders in the admin: facts to read and to follow; buyers masked."""

from orders.admin.orders import OrderAdmin
from orders.admin.parts import (
    BuyerContactAdmin,
    OrderChargeAdmin,
    OrderEventAdmin,
    OrderExceptionAdmin,
    OrderLineAdmin,
    OrderRefundAdmin,
)

__all__ = [
    "BuyerContactAdmin",
    "OrderAdmin",
    "OrderChargeAdmin",
    "OrderEventAdmin",
    "OrderExceptionAdmin",
    "OrderLineAdmin",
    "OrderRefundAdmin",
]

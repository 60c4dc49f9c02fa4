"""Orders in the admin: facts to read and to follow; buyers masked."""

from orders.admin.buyers import BuyerContactAdmin, ErasureAdmin
from orders.admin.orders import OrderAdmin
from orders.admin.parts import (
    OrderChargeAdmin,
    OrderEventAdmin,
    OrderExceptionAdmin,
    OrderLineAdmin,
    OrderRefundAdmin,
)
from orders.admin.shipments import ShipFromAdmin, ShipmentAdmin, ShipmentLineAdmin

__all__ = [
    "BuyerContactAdmin",
    "ErasureAdmin",
    "OrderAdmin",
    "OrderChargeAdmin",
    "OrderEventAdmin",
    "OrderExceptionAdmin",
    "OrderLineAdmin",
    "OrderRefundAdmin",
    "ShipFromAdmin",
    "ShipmentAdmin",
    "ShipmentLineAdmin",
]

"""Orders in the admin: facts to read and to follow; buyers masked."""

from orders.admin.orders import OrderAdmin

__all__ = ["OrderAdmin"]
